/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The guest's consent to have less. Owns what a consent holds down until it is fulfilled, given up or overtaken by a wish for more: the
 * number of CPUs online, and the bound of the executions' memory.
 */

#include "guest/loop.h"
#include "wire/message.h"

struct agent;
struct helper;
struct shape;

struct shrink_hold {
    uint32_t vcpus;      /* so many stay online; 0: all */
    uint32_t memory_mib; /* consented to, and not there yet; 0: none */
    uint64_t bound;      /* what executions may use then, bytes */
    uint64_t from_kib;   /* MemTotal when it was asked for */
};

struct shrink {
    struct helper *helper; /* at work on `request` */
    struct wire_shrink request;
    uint32_t stream;
    bool is_forgotten; /* whoever asked is gone */
    bool is_overtaken; /* more was asked for meanwhile */
    struct shrink_hold hold, hold_before;
    struct loop_timer timer;
};

void shrink_start(struct agent *agent);
void shrink_stop(struct agent *agent);

/* A new session: what was consented to stays so, an answer is not wanted any more. */
void shrink_forget(struct agent *agent);

void shrink_on_frame(struct agent *agent, const struct wire_frame *frame);

/* Somebody waits for so much: what is less than that is not held any longer. */
void shrink_on_wait(struct agent *agent, uint32_t vcpus, uint32_t memory_mib);

/* There are so many CPUs, on- and offline: where that is no more than may be online, nothing is held down. */
void shrink_on_present(struct agent *agent, uint32_t present);

/* MemTotal has changed. */
void shrink_on_memory(struct agent *agent, uint64_t memory_kib);

/* How many of the CPUs that are there may be online. */
uint32_t shrink_cpus(const struct agent *agent, uint32_t present);

/* `limit`, or less when less was consented to. */
uint64_t shrink_bound(const struct agent *agent, uint64_t limit);
