/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/* Runs in a guest: allocates memory and touches it at a steady rate. usage: touch MIB-PER-SECOND MIB. Prints "touching", and at the end the rate
 * that was reached and the longest time that one step of it took: while the kernel holds it back, it stands still. */

#define STEP_MS 10
#define MIB (1024u * 1024u)

static int64_t now_us(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000 + time.tv_nsec / 1000;
}

static void touch(volatile char *memory, size_t from, size_t to, size_t page)
{
    for (size_t at = from; at < to; at += page)
        memory[at] = 1;
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    const double rate = strtod(argv[1], NULL) * MIB;
    const size_t total = (size_t)strtoull(argv[2], NULL, 10) * MIB, page = (size_t)sysconf(_SC_PAGESIZE);
    char *memory = mmap(NULL, total, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        return 3;
    puts("touching");
    fflush(stdout);
    const int64_t begin_us = now_us();
    int64_t last_us = begin_us, longest_us = 0;
    for (size_t done = 0; done < total;) {
        size_t due = (size_t)((double)(now_us() - begin_us) / 1e6 * rate);
        due = due < done + (size_t)(rate / 10)
                  ? due
                  : done + (size_t)(rate / 10); /* what was held back is not made up for at once */
        due = due < total ? due - due % page : total;
        if (due > done)
            touch(memory, done, due, page);
        done = due > done ? due : done;
        const int64_t at_us = now_us();
        longest_us = at_us - last_us > longest_us ? at_us - last_us : longest_us;
        last_us = at_us;
        poll(NULL, 0, STEP_MS);
        last_us = now_us();
    }
    printf("rate %.0f longest %" PRId64 "\n", (double)total / MIB / ((double)(now_us() - begin_us) / 1e6),
           longest_us / 1000);
    return 0;
}
