/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shell/global.h"

int main(int argc, char **argv)
{
    return global_main(argc, argv);
}
