/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/identity.h"

#include "guest/network.h"
#include "guest/system.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/random.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#define MACHINE_ID_LENGTH 32
#define BOOT_ID_FILE "/proc/sys/kernel/random/boot_id"
#define OWN_BOOT_ID_FILE "/run/harbinger-boot-id"

void identity_read(struct identity *ret_identity)
{
    struct utsname name;
    struct timespec uptime;
    struct identity *identity = ret_identity;
    system_read("/etc/machine-id", identity->machine_id, sizeof(identity->machine_id));
    system_read(BOOT_ID_FILE, identity->boot_id, sizeof(identity->boot_id));
    text_trim(identity->machine_id);
    text_trim(identity->boot_id);
    identity->kernel[0] = '\0';
    if (uname(&name) == 0)
        snprintf(identity->kernel, sizeof(identity->kernel), "%s", name.release);
    clock_gettime(CLOCK_BOOTTIME, &uptime);
    identity->uptime_ms = (uint64_t)uptime.tv_sec * 1000u + (uint64_t)uptime.tv_nsec / 1000000u;
}

static bool write_file(const char *path, struct wire_slice text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        return false;
    bool ok = write(fd, text.data, text.size) == (ssize_t)text.size && write(fd, "\n", 1) == 1;
    close(fd);
    return ok;
}

static bool set_hostname(const struct wire_identity *request)
{
    return sethostname(request->hostname.data, request->hostname.size) == 0 &&
           write_file("/etc/hostname", request->hostname);
}

static bool set_machine_id(const struct wire_identity *request)
{
    const char *digits = request->machine_id.data;
    bool ok = request->machine_id.size == MACHINE_ID_LENGTH;
    for (uint32_t i = 0; ok && i < MACHINE_ID_LENGTH; i++)
        ok = isxdigit((unsigned char)digits[i]);
    if (!ok) {
        errno = EINVAL;
        return false;
    }
    return write_file("/etc/machine-id", request->machine_id);
}

/* A random uuid, version 4, and a newline. */
static bool draw_uuid(char *ret_text, size_t size)
{
    uint8_t bytes[16];
    if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
        return false;
    bytes[6] = (uint8_t)((bytes[6] & 0x0f) | 0x40);
    bytes[8] = (uint8_t)((bytes[8] & 0x3f) | 0x80);
    size_t used = 0;
    for (size_t i = 0; i < sizeof(bytes); i++)
        used += (size_t)snprintf(ret_text + used, size - used, "%s%02x",
                                 i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", bytes[i]);
    snprintf(ret_text + used, size - used, "\n");
    return true;
}

/* The kernel draws its boot id once and clones of one memory image have it in common: a file with another one covers it. */
static bool cover_boot_id(void)
{
    char text[48];
    if (!draw_uuid(text, sizeof(text)))
        return false;
    unlink(OWN_BOOT_ID_FILE);
    int fd = open(OWN_BOOT_ID_FILE, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
    if (fd < 0)
        return false;
    bool ok = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    close(fd);
    umount2(BOOT_ID_FILE, MNT_DETACH); /* that of an earlier identity */
    ok =
        ok && mount(OWN_BOOT_ID_FILE, BOOT_ID_FILE, NULL, MS_BIND, NULL) == 0 &&
        mount(NULL, BOOT_ID_FILE, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) == 0;
    int error = errno;
    unlink(OWN_BOOT_ID_FILE);
    errno = error;
    return ok;
}

/* Credited and mixed in at once: clones of one memory image would otherwise draw the same numbers. */
static bool mix_seed(const struct wire_identity *request)
{
    union {
        struct rand_pool_info info;
        uint8_t bytes[sizeof(struct rand_pool_info) + WIRE_SEED_MAX];
    } pool = {.info = {.entropy_count = (int)request->seed.size * 8, .buf_size = (int)request->seed.size}};
    memcpy(pool.bytes + offsetof(struct rand_pool_info, buf), request->seed.data, request->seed.size);
    int fd = open("/dev/urandom", O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool ok = ioctl(fd, RNDADDENTROPY, &pool) == 0 && ioctl(fd, RNDRESEEDCRNG) == 0;
    int error = errno;
    close(fd);
    errno = error;
    return ok;
}

/* What was drawn from the random numbers of before is drawn again. */
static bool set_seed(const struct wire_identity *request)
{
    return mix_seed(request) && cover_boot_id();
}

static bool set_clock(const struct wire_identity *request)
{
    struct timespec now = {
        .tv_sec = (time_t)(request->clock_realtime_ns / 1000000000u),
        .tv_nsec = (long)(request->clock_realtime_ns % 1000000000u),
    };
    return clock_settime(CLOCK_REALTIME, &now) == 0;
}

static bool is_asked(const struct wire_identity *request, uint32_t part)
{
    switch ((enum wire_identity_part)part) {
    case WIRE_IDENTITY_HOSTNAME:
        return request->hostname.size > 0;
    case WIRE_IDENTITY_MACHINE_ID:
        return request->machine_id.size > 0;
    case WIRE_IDENTITY_SEED:
        return request->seed.size > 0;
    case WIRE_IDENTITY_CLOCK:
        return request->clock_realtime_ns > 0;
    case WIRE_IDENTITY_NETWORK:
        return request->mac.size > 0 || request->address.size > 0 || request->gateway.size > 0 || request->dns.size > 0;
    }
    return false;
}

static const struct {
    uint32_t part;
    const char *name;
    bool (*set)(const struct wire_identity *request);
} parts[] = {
    {WIRE_IDENTITY_CLOCK, "clock", set_clock}, /* before it gets any older */
    {WIRE_IDENTITY_SEED, "seed", set_seed},
    {WIRE_IDENTITY_HOSTNAME, "hostname", set_hostname},
    {WIRE_IDENTITY_MACHINE_ID, "machine id", set_machine_id},
    {WIRE_IDENTITY_NETWORK, "network", network_configure},
};

static void apply(const struct wire_identity *request, struct wire_identity_ack *ack, char *text, size_t size)
{
    size_t used = 0;
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (!is_asked(request, parts[i].part))
            continue;
        if (parts[i].set(request)) {
            ack->done |= parts[i].part;
            continue;
        }
        ack->failed |= parts[i].part;
        used +=
            (size_t)snprintf(text + used, size - used, "%s%s: %s", used ? "; " : "", parts[i].name, strerror(errno));
        used = used < size ? used : size - 1;
    }
    ack->text = wire_text(text);
}

void identity_on_frame(struct agent *agent, const struct wire_frame *frame)
{
    struct wire_identity request;
    struct wire_identity_ack ack = {0};
    char text[512] = "";
    if (!wire_identity_read(frame, &request, NULL)) {
        agent_send_error(agent, frame->stream, WIRE_FAULT_MESSAGE, "IDENTITY does not decode");
        return;
    }
    if (agent->options.is_init) {
        apply(&request, &ack, text, sizeof(text));
    } else {
        for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
            ack.failed |= is_asked(&request, parts[i].part) ? parts[i].part : 0;
        ack.text = wire_text("this agent is not the guest's init: it leaves the identity alone");
    }
    agent_send(agent, WIRE_TYPE_IDENTITY_ACK, 0, frame->stream, &ack);
}
