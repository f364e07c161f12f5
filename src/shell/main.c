/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shell/global.h"

#include <fcntl.h>
#include <unistd.h>

/* A descriptor of ours must never become one of the standard ones. */
static void main_open_standard(void)
{
    int fd;
    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd > STDERR_FILENO)
        close(fd);
}

int main(int argc, char **argv)
{
    main_open_standard();
    return global_main(argc, argv);
}
