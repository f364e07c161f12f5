/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/* Runs in a guest: plays a course. usage: player POINT-MS CPU:MIB..., a point each: percent of one CPU, spread over up to three threads, and memory that
 * is held, in MiB. After each point it prints "point WANTED-MS GOT-MS MIB LATE-MS": the CPU time that was wanted in it and had, and for how long
 * beyond the point's end the memory took to come. What was not had in a point is not made up for. */

#define THREADS 3
#define POINTS_MAX 1000
#define MIB (1024u * 1024u)
#define PAUSE_MS 4
#define LEAD_US 15000 /* ahead of the steady rate, for the pauses */

static struct {
    unsigned cpu, mib;
    _Atomic int64_t got_us;
} points[POINTS_MAX];
static int64_t point_count, point_us, begin_us;

static int64_t clock_us(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return (int64_t)time.tv_sec * 1000000 + time.tv_nsec / 1000;
}

static int64_t elapsed_us(void)
{
    return clock_us(CLOCK_MONOTONIC) - begin_us;
}

/* What one of the threads should have used so far of a point. */
static int64_t thread_due_us(int64_t point, int64_t number, int64_t into_us)
{
    const int64_t threads = (points[point].cpu + 99) / 100;
    if (number >= threads)
        return 0;
    const int64_t until_us = into_us + LEAD_US < point_us ? into_us + LEAD_US : point_us;
    return until_us * points[point].cpu / threads / 100;
}

static void *thread_play(void *data)
{
    const int64_t number = (int64_t)(intptr_t)data;
    int64_t last = -1, got_us = 0, used_us = clock_us(CLOCK_THREAD_CPUTIME_ID);
    for (int64_t at_us; (at_us = elapsed_us()) < point_count * point_us;) {
        const int64_t point = at_us / point_us, before_us = used_us;
        used_us = clock_us(CLOCK_THREAD_CPUTIME_ID);
        got_us = point == last ? got_us + used_us - before_us : 0;
        if (point == last)
            points[point].got_us += used_us - before_us;
        last = point;
        if (got_us >= thread_due_us(point, number, at_us % point_us))
            poll(NULL, 0, PAUSE_MS);
    }
    return NULL;
}

static void hold(char *memory, size_t held, size_t wanted)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    for (size_t at = held; at < wanted; at += page)
        ((volatile char *)memory)[at] = 1;
    if (wanted < held)
        madvise(memory + wanted, held - wanted, MADV_DONTNEED);
}

static void play_memory(char *memory)
{
    size_t held = 0;
    for (int64_t i = 0; i < point_count; i++) {
        const int64_t end_us = (i + 1) * point_us;
        hold(memory, held, (size_t)points[i].mib * MIB);
        held = (size_t)points[i].mib * MIB;
        const int64_t there_us = elapsed_us(), late_us = there_us > end_us ? there_us - end_us : 0;
        while (elapsed_us() < end_us)
            poll(NULL, 0, (int)((end_us - elapsed_us()) / 1000 + 1));
        printf("point %" PRId64 " %" PRId64 " %u %" PRId64 "\n", point_us * points[i].cpu / 100000,
               points[i].got_us / 1000, points[i].mib, late_us / 1000);
        fflush(stdout);
    }
}

static size_t parse(char **words)
{
    unsigned most = 1;
    for (; words[point_count] != NULL && point_count < POINTS_MAX; point_count++) {
        char *end;
        points[point_count].cpu = (unsigned)strtoul(words[point_count], &end, 10);
        points[point_count].mib = *end == ':' ? (unsigned)strtoul(end + 1, NULL, 10) : 0;
        most = points[point_count].mib > most ? points[point_count].mib : most;
    }
    return (size_t)most * MIB;
}

int main(int argc, char **argv)
{
    if (argc < 3 || (point_us = (int64_t)strtoul(argv[1], NULL, 10) * 1000) <= 0)
        return 2;
    char *memory =
        mmap(NULL, parse(argv + 2), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    pthread_t threads[THREADS];
    if (memory == MAP_FAILED)
        return 3;
    begin_us = clock_us(CLOCK_MONOTONIC);
    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, thread_play, (void *)(intptr_t)i) != 0)
            return 3;
    play_memory(memory);
    return 0;
}
