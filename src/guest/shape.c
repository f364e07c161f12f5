/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/shape.h"

#include "guest/helper.h"
#include "guest/system.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <linux/netlink.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CPU_DIRECTORY "/sys/devices/system/cpu"
#define MEMORY_DIRECTORY "/sys/devices/system/memory"

/* virtio-mem adds 1 GiB within about 14 ms and announces only whole memory blocks: look often at first, seldom later. */
#define POLL_FAST_US INT64_C(4000)
#define POLL_SLOW_US INT64_C(10000)
#define POLL_FAST_FOR_US INT64_C(300000)
#define MEMORY_FIRST_US INT64_C(150000)
#define SETTLE_US INT64_C(500000)
#define WAITS_MAX 16u
#define TIMEOUT_MAX_MS 600000u
#define RESERVE_MIN_KIB (UINT64_C(16) * 1024)
/* Plugged memory is movable, and of no use to the kernel itself: it needs a 64th of it elsewhere to describe it, and as much again is kept from
 * the executions for page tables and stacks, of which they would otherwise die while there is memory. */
#define PLUGGED_PER_KERNEL 32u
#define LOWMEM_RESERVE_RATIO "256 64"
#define RESERVE_FREE_KIB (UINT64_C(12) * 1024)
#define RESERVE_MAX_KIB (UINT64_C(64) * 1024)

struct shape_wait {
    struct shape_wait *next;
    uint32_t stream;
    uint32_t vcpus, memory_mib, memory_max_mib;
    int64_t asked_us, until_us;
};

/* Pages that a zone has and the kernel kept for itself at boot. Hotplugged memory comes to zone Movable, without any. */
static uint64_t read_reserved_kib(void)
{
    static char text[65536];
    uint64_t pages = 0;
    system_read("/proc/zoneinfo", text, sizeof(text));
    for (char *zone = text; (zone = strstr(zone, "zone ")); zone++) {
        unsigned long long present, managed;
        char *present_at = strstr(zone, "present "), *managed_at = strstr(zone, "managed ");
        bool counts = strstr(zone, "DMA") == zone + strspn(zone + 5, " ") + 5 ||
                      strstr(zone, "Normal") == zone + strspn(zone + 5, " ") + 5;
        if (counts && present_at && managed_at && sscanf(present_at, "present %llu", &present) == 1 &&
            sscanf(managed_at, "managed %llu", &managed) == 1 && present > managed)
            pages += present - managed;
    }
    return pages * (uint64_t)sysconf(_SC_PAGESIZE) / 1024u;
}

static void measure_own(struct agent *agent)
{
    char text[1536];
    system_read("/proc/meminfo", text, sizeof(text));
    agent->boot_kib = text_number_after(text, "MemTotal:", 0);
    uint64_t available_kib = text_number_after(text, "MemAvailable:", agent->boot_kib);
    agent->own_kib = agent->boot_kib > available_kib ? agent->boot_kib - available_kib : 0;
}

static uint32_t count_cpus(const char *which)
{
    char path[64], text[256];
    snprintf(path, sizeof(path), CPU_DIRECTORY "/%s", which);
    system_read(path, text, sizeof(text));
    return text_count_list(text);
}

/* A CPU on its way up is told as online a tenth of a second, under emulation, before the scheduler uses it. */
uint32_t shape_count_online(void)
{
    cpu_set_t usable;
    uint32_t online = count_cpus("online");
    uint32_t used = sched_getaffinity(0, sizeof(usable), &usable) == 0 ? (uint32_t)CPU_COUNT(&usable) : online;
    return used < online ? used : online;
}

/* The kernel needs memory of its own for what is plugged, to keep account of its pages and to map them, and plugged memory is none of that kind.
 * What executions have filled before it came cannot be taken back from them: the share of what may still come is kept free, too. */
static uint64_t kernel_share_kib(const struct agent *agent, uint64_t memory_kib)
{
    uint64_t most_kib = (uint64_t)agent->alarm.wanted.memory_most_mib * 1024u;
    if (most_kib < memory_kib)
        most_kib = memory_kib;
    if (agent->boot_kib == 0 || most_kib <= agent->boot_kib)
        return 0;
    uint64_t share_kib = (most_kib - agent->boot_kib) / PLUGGED_PER_KERNEL;
    return share_kib < agent->boot_kib / 2 ? share_kib : agent->boot_kib / 2;
}

/* What the kernel and the agent have for themselves is out of the executions' reach; a bound that forgets it is never met, and the kernel kills
 * for the whole machine's want of memory before. */
uint64_t shape_limit_for(const struct agent *agent, uint64_t memory_kib)
{
    uint64_t reserve_kib = memory_kib / 16;
    if (reserve_kib < RESERVE_MIN_KIB)
        reserve_kib = RESERVE_MIN_KIB;
    if (reserve_kib > RESERVE_MAX_KIB)
        reserve_kib = RESERVE_MAX_KIB;
    uint64_t own_kib = agent->own_kib + RESERVE_FREE_KIB + kernel_share_kib(agent, memory_kib);
    if (reserve_kib < own_kib)
        reserve_kib = own_kib;
    return memory_kib > reserve_kib ? (memory_kib - reserve_kib) * 1024u : 0;
}

void shape_limit_executions(struct agent *agent)
{
    uint64_t limit = shrink_bound(agent, shape_limit_for(agent, agent->last_memory_kib));
    if (limit == 0 || limit == agent->cgroups.memory_limit)
        return;
    cgroup_root_limit_memory(&agent->cgroups, limit);
    alarm_on_limit(agent);
}

void shape_refresh(struct agent *agent, struct shape *ret_shape)
{
    char text[1024];
    system_read("/proc/meminfo", text, sizeof(text));
    uint64_t memory_kib = text_number_after(text, "MemTotal:", 0);
    *ret_shape = (struct shape){
        .vcpus_online = shape_count_online(),
        .vcpus_present = count_cpus("present"),
        .memory_total_mib = (uint32_t)(memory_kib / 1024u),
        /* Firmware tables and the hole below 1 MiB are not RAM: a 256 MiB machine has 255.5. */
        .memory_mib = (uint32_t)((memory_kib + agent->reserved_kib + 1023u) / 1024u),
    };
    if (memory_kib != agent->last_memory_kib) {
        agent->last_memory_kib = memory_kib;
        agent->settle_until_us = loop_now_us() + SETTLE_US;
        shrink_on_memory(agent, memory_kib);
        shape_limit_executions(agent);
    }
}

static uint32_t last_cpu(void)
{
    char text[256];
    system_read(CPU_DIRECTORY "/present", text, sizeof(text));
    char *last = text + strlen(text);
    while (last > text && last[-1] != ',' && last[-1] != '-')
        last--;
    return (uint32_t)strtoul(last, NULL, 10);
}

static void set_cpu(uint32_t cpu, const char *from, const char *to)
{
    char path[80], state[8];
    snprintf(path, sizeof(path), CPU_DIRECTORY "/cpu%u/online", cpu);
    if (system_read(path, state, sizeof(state)) > 0 && state[0] == from[0])
        system_write(path, to);
}

int shape_set_cpus(uint32_t vcpus)
{
    uint32_t last = last_cpu();
    for (uint32_t cpu = 1; cpu <= last && count_cpus("online") < vcpus; cpu++)
        set_cpu(cpu, "0", "1");
    for (uint32_t cpu = last; cpu > 0 && count_cpus("online") > vcpus; cpu--)
        set_cpu(cpu, "1", "0");
    return count_cpus("online") == vcpus ? 0 : -1;
}

static void online_memory(void)
{
    char path[400], state[32];
    DIR *devices = opendir(MEMORY_DIRECTORY);
    if (!devices)
        return;
    for (struct dirent *entry; (entry = readdir(devices));) {
        if (strncmp(entry->d_name, "memory", 6) != 0 || !isdigit((unsigned char)entry->d_name[6]))
            continue;
        snprintf(path, sizeof(path), MEMORY_DIRECTORY "/%s/state", entry->d_name);
        if (system_read(path, state, sizeof(state)) > 0 && strncmp(state, "offline", 7) == 0)
            system_write(path, "online_movable");
    }
    closedir(devices);
}

/* In a child, because one CPU takes the kernel up to 200 ms under emulation. */
static int online_work(void *argument)
{
    const struct agent *agent = argument;
    uint32_t wanted = shrink_cpus(agent, count_cpus("present"));
    system_hurry();
    if (wanted > count_cpus("online"))
        shape_set_cpus(wanted);
    if (!agent->memory_onlines_itself)
        online_memory();
    return 0;
}

static void shape_check(struct agent *agent);

static void on_online_done(struct agent *agent, void *argument, bool succeeded)
{
    (void)argument, (void)succeeded;
    agent->online_helper = NULL;
    shape_check(agent);
}

void shape_bring_online(struct agent *agent)
{
    if (agent->options.is_init && !agent->online_helper && !agent->shrink.helper)
        agent->online_helper = helper_run(agent, online_work, agent, on_online_done);
}

static bool wait_is_satisfied(const struct shape_wait *wait, const struct shape *now)
{
    /* One MiB of grace: see shape_refresh() for what rounding can lose. */
    return now->vcpus_online >= wait->vcpus && now->memory_mib + 1 >= wait->memory_mib &&
           (wait->memory_max_mib == 0 || now->memory_mib <= wait->memory_max_mib + 1);
}

static void wait_answer(struct agent *agent, const struct shape_wait *wait, const struct shape *now, bool satisfied)
{
    struct wire_shape answer = {
        .satisfied = satisfied,
        .vcpus_online = now->vcpus_online,
        .vcpus_present = now->vcpus_present,
        .memory_mib = now->memory_mib,
        .memory_total_mib = now->memory_total_mib,
        .waited_us = (uint64_t)(loop_now_us() - wait->asked_us),
    };
    agent_send(agent, WIRE_TYPE_SHAPE, 0, wait->stream, &answer);
}

static void answer_waits(struct agent *agent, const struct shape *now)
{
    int64_t now_us = loop_now_us();
    for (struct shape_wait **at = &agent->shape_waits; *at;) {
        struct shape_wait *wait = *at;
        bool satisfied = wait_is_satisfied(wait, now);
        if (!satisfied && now_us < wait->until_us) {
            at = &wait->next;
            continue;
        }
        *at = wait->next;
        wait_answer(agent, wait, now, satisfied);
        free(wait);
    }
}

static void schedule_next_look(struct agent *agent)
{
    int64_t now_us = loop_now_us();
    if (!agent->shape_waits && now_us >= agent->settle_until_us)
        return;
    bool fast = false;
    for (struct shape_wait *wait = agent->shape_waits; wait; wait = wait->next)
        fast |= now_us - wait->asked_us < POLL_FAST_FOR_US;
    loop_timer_set(&agent->loop, &agent->shape_timer, now_us + (fast ? POLL_FAST_US : POLL_SLOW_US));
}

bool shape_is_growing(const struct agent *agent, const struct shape *now)
{
    for (const struct shape_wait *wait = agent->shape_waits; wait; wait = wait->next) {
        if (wait->vcpus > now->vcpus_online || wait->memory_mib > now->memory_mib + 1)
            return true;
    }
    return false;
}

/* While a CPU comes online, which under emulation takes 200 ms, the kernel adds no memory; which is here within 50 ms, and more urgent. */
static bool memory_is_coming(const struct agent *agent, const struct shape *now)
{
    int64_t since_us = loop_now_us() - MEMORY_FIRST_US;
    for (const struct shape_wait *wait = agent->shape_waits; wait; wait = wait->next) {
        if (wait->asked_us > since_us && now->memory_mib + 1 < wait->memory_mib)
            return true;
    }
    return false;
}

static void shape_check(struct agent *agent)
{
    struct shape now;
    shape_refresh(agent, &now);
    shape_limit_executions(agent); /* again, where they held more than they should */
    shrink_on_present(agent, now.vcpus_present);
    if (shrink_cpus(agent, now.vcpus_present) > now.vcpus_online && !memory_is_coming(agent, &now))
        shape_bring_online(agent);
    answer_waits(agent, &now);
    schedule_next_look(agent);
}

static void on_look(void *owner)
{
    shape_check(owner);
}

static void on_uevent(void *owner, uint32_t events)
{
    struct agent *agent = owner;
    char text[4096];
    bool concerns_us = false;
    (void)events;
    for (ssize_t n; (n = recv(agent->uevent_source.fd, text, sizeof(text) - 1, MSG_DONTWAIT)) > 0;) {
        text[n] = '\0';
        concerns_us |= strstr(text, "/devices/system/cpu/cpu") || strstr(text, "/devices/system/memory/memory");
    }
    if (!concerns_us)
        return;
    agent->settle_until_us = loop_now_us() + SETTLE_US;
    if (!agent->memory_onlines_itself)
        shape_bring_online(agent);
    shape_check(agent); /* brings CPUs online */
}

static void listen_to_kernel(struct agent *agent)
{
    struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = 1};
    int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT);
    if (fd < 0)
        return;
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 ||
        loop_watch(&agent->loop, &agent->uevent_source, fd, EPOLLIN) != 0)
        close(fd);
}

void shape_start(struct agent *agent)
{
    struct shape now;
    agent->shape_timer = (struct loop_timer){.on_due = on_look, .owner = agent};
    agent->uevent_source = (struct loop_source){.fd = -1, .on_ready = on_uevent, .owner = agent};
    agent->reserved_kib = read_reserved_kib();
    if (agent->options.is_init) {
        measure_own(agent);
        system_write("/proc/sys/vm/lowmem_reserve_ratio", LOWMEM_RESERVE_RATIO);
        agent->memory_onlines_itself = system_write(MEMORY_DIRECTORY "/auto_online_blocks", "online_movable") == 0;
        listen_to_kernel(agent);
    }
    shape_refresh(agent, &now);
    if (now.vcpus_present > now.vcpus_online)
        shape_bring_online(agent);
}

void shape_stop(struct agent *agent)
{
    int fd = agent->uevent_source.fd;
    loop_unwatch(&agent->loop, &agent->uevent_source);
    if (fd >= 0)
        close(fd);
    loop_timer_cancel(&agent->loop, &agent->shape_timer);
    shape_forget_waits(agent);
}

void shape_forget_waits(struct agent *agent)
{
    while (agent->shape_waits) {
        struct shape_wait *wait = agent->shape_waits;
        agent->shape_waits = wait->next;
        free(wait);
    }
}

static unsigned count_waits(const struct agent *agent)
{
    unsigned count = 0;
    for (struct shape_wait *wait = agent->shape_waits; wait; wait = wait->next)
        count++;
    return count;
}

void shape_on_wait(struct agent *agent, const struct wire_frame *frame)
{
    struct wire_shape_wait request;
    if (!wire_shape_wait_read(frame, &request, NULL)) {
        agent_send_error(agent, frame->stream, WIRE_FAULT_MESSAGE, "SHAPE_WAIT does not decode");
        return;
    }
    struct shape_wait *wait = count_waits(agent) < WAITS_MAX ? calloc(1, sizeof(*wait)) : NULL;
    if (!wait) {
        agent_send_error(agent, frame->stream, WIRE_FAULT_LIMIT, "%u waits at once are the most", WAITS_MAX);
        return;
    }
    uint32_t timeout_ms = request.timeout_ms < TIMEOUT_MAX_MS ? request.timeout_ms : TIMEOUT_MAX_MS;
    *wait = (struct shape_wait){
        .next = agent->shape_waits,
        .stream = frame->stream,
        .vcpus = request.vcpus,
        .memory_mib = request.memory_mib,
        .memory_max_mib = request.memory_max_mib,
        .asked_us = loop_now_us(),
        .until_us = loop_now_us() + (int64_t)timeout_ms * 1000,
    };
    agent->shape_waits = wait;
    shrink_on_wait(agent, request.vcpus, request.memory_mib);
    shape_check(agent);
}
