/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The messages of the guest protocol, version 1, as plain structs. "host" is Harbinger's daemon, "agent" is harbinger-guest.
 * Slices in a decoded message point into the frame's payload. The manual is harbinger-guest-protocol(7). Pure functions.
 */

#include "wire/frame.h"
#include "wire/record.h"

#include <stdbool.h>
#include <stdint.h>

#define WIRE_VERSION_MIN 1u
#define WIRE_VERSION_MAX 1u

#define WIRE_CHANNEL_NAME "org.harbinger.guest.0"

#define WIRE_ARGS_MAX 256u
#define WIRE_ENV_MAX 256u
#define WIRE_FILES_MAX 64u
#define WIRE_EXECUTIONS_MAX 64u
#define WIRE_PRELOAD_MAX 64u
#define WIRE_MODULE_NAME_MAX 256u
#define WIRE_TEXT_MAX 4096u
#define WIRE_PATH_BYTES_MAX 1024u
#define WIRE_CODE_MAX (16u * 1024u * 1024u)
#define WIRE_SEED_MAX 512u

/* Credit that both sides hold on a fresh stream, and the most that a stream's credit may ever reach. */
#define WIRE_WINDOW_INITIAL (256u * 1024u)
#define WIRE_WINDOW_MAX (16u * 1024u * 1024u)

enum wire_type {
    WIRE_TYPE_HELLO = 0x01, /* both */
    WIRE_TYPE_PING = 0x02,  /* both */
    WIRE_TYPE_PONG = 0x03,  /* both */
    WIRE_TYPE_ERROR = 0x04, /* both */

    WIRE_TYPE_EXEC = 0x10,    /* host: opens a stream */
    WIRE_TYPE_CODE = 0x11,    /* host: raw bytes of the code, after EXEC without FIN */
    WIRE_TYPE_EXEC_GO = 0x12, /* host: code and files are complete; a held program may run */
    WIRE_TYPE_STARTED = 0x13, /* agent */
    WIRE_TYPE_STDIN = 0x14,   /* host: raw bytes; FIN closes */
    WIRE_TYPE_STDOUT = 0x15,  /* agent: raw bytes; FIN says closed */
    WIRE_TYPE_STDERR = 0x16,  /* agent: raw bytes; FIN says closed */
    WIRE_TYPE_EXIT = 0x17,    /* agent: ends the stream, unless its files are kept */
    WIRE_TYPE_KILL = 0x18,    /* host */
    WIRE_TYPE_WINDOW = 0x19,  /* both */
    WIRE_TYPE_RELEASE = 0x1a, /* host: removes the files of an execution that was to keep them */
    WIRE_TYPE_LIMITS = 0x1b,  /* host: new limits for a running execution */
    WIRE_TYPE_HELD = 0x1c,    /* agent: the program stands ready, and waits for EXEC_GO */

    WIRE_TYPE_PUT_FILE = 0x20,  /* host: opens a stream, DATA follows */
    WIRE_TYPE_GET_FILE = 0x21,  /* host: opens a stream, DATA comes back */
    WIRE_TYPE_DATA = 0x22,      /* both: raw bytes; FIN ends the file */
    WIRE_TYPE_FILE_DONE = 0x23, /* agent: ends the stream */

    WIRE_TYPE_SHAPE_WAIT = 0x30,      /* host: opens a stream */
    WIRE_TYPE_SHAPE = 0x31,           /* agent: ends the stream */
    WIRE_TYPE_USAGE_SUBSCRIBE = 0x32, /* host */
    WIRE_TYPE_USAGE = 0x33,           /* agent, on the stream of the subscription */
    WIRE_TYPE_ALARM = 0x34,           /* host: what the agent is to speak up about */
    WIRE_TYPE_PRESSURE = 0x35,        /* agent, on the stream of the ALARM */
    WIRE_TYPE_SHRINK = 0x36,          /* host: opens a stream */
    WIRE_TYPE_SHRINK_ACK = 0x37,      /* agent: ends the stream */

    WIRE_TYPE_IDENTITY = 0x40,     /* host */
    WIRE_TYPE_IDENTITY_ACK = 0x41, /* agent, on the same stream */
    WIRE_TYPE_POWEROFF = 0x42,     /* host */
};

/* What the agent found that it can do where it runs. */
enum wire_capability {
    WIRE_CAN_LIMIT = 1 << 0,      /* cgroup v2: limits, kill of whole trees, exact usage */
    WIRE_CAN_DROP_USER = 1 << 1,  /* executions run under users of their own */
    WIRE_CAN_ONLINE = 1 << 2,     /* may bring CPUs and memory online */
    WIRE_CAN_IDENTIFY = 1 << 3,   /* may set hostname, machine id, clock, random seed, network */
    WIRE_CAN_POWEROFF = 1 << 4,   /* is init */
    WIRE_CAN_PSI = 1 << 5,        /* pressure stall information */
    WIRE_CAN_HOLD = 1 << 6,       /* EXEC with `hold` */
    WIRE_CAN_ALARM = 1 << 7,      /* ALARM: the memory watermark, and stalls where there is WIRE_CAN_PSI */
    WIRE_CAN_RUN_PYTHON = 1 << 8, /* an interpreter "python3" is installed; and so on */
    WIRE_CAN_RUN_PERL = 1 << 9,
    WIRE_CAN_RUN_LUA = 1 << 10,
    WIRE_CAN_RUN_NODE = 1 << 11,
    WIRE_CAN_RUN_SH = 1 << 12,
    WIRE_CAN_SHRINK = 1 << 13, /* SHRINK */
};

enum wire_reason {
    WIRE_REASON_EXITED = 0,       /* `status` is the exit status */
    WIRE_REASON_SIGNALLED = 1,    /* `signal` ended it, not by a limit below */
    WIRE_REASON_WALL_LIMIT = 2,   /* ran into wall_limit_ms */
    WIRE_REASON_OOM = 3,          /* the kernel killed it for memory */
    WIRE_REASON_OUTPUT_LIMIT = 4, /* wrote more than output_limit_bytes */
    WIRE_REASON_KILLED = 5,       /* a KILL frame */
    WIRE_REASON_LOST = 6,         /* the agent lost track of it */
    WIRE_REASON_REFUSED = 7,      /* never started; `text` says why */
};

enum wire_fault {
    WIRE_FAULT_NONE = 0,
    WIRE_FAULT_VERSION = 1,  /* no common protocol version */
    WIRE_FAULT_TYPE = 2,     /* unknown frame type */
    WIRE_FAULT_MESSAGE = 3,  /* a payload that does not decode */
    WIRE_FAULT_STREAM = 4,   /* no such stream, or one in use already */
    WIRE_FAULT_WINDOW = 5,   /* more data than the credit allowed */
    WIRE_FAULT_LIMIT = 6,    /* too many executions, transfers or waits */
    WIRE_FAULT_STATE = 7,    /* a frame at a time when it makes no sense */
    WIRE_FAULT_SYSTEM = 8,   /* the guest's system refused */
    WIRE_FAULT_PROTOCOL = 9, /* framing lost; the session is over */
};

enum wire_user {
    WIRE_USER_OWN = 0,    /* a user id that no other execution has */
    WIRE_USER_SHARED = 1, /* the image's user "harbinger", the same for all that ask for it */
};

/* HELLO. The host sends versions and nonce; the agent answers with the chosen version in both, the nonce, and the rest. */
struct wire_hello {
    uint32_t version_min;
    uint32_t version_max;
    uint64_t nonce;
    struct wire_slice agent_version;
    struct wire_slice boot_id;
    struct wire_slice machine_id;
    struct wire_slice kernel;
    uint64_t capabilities; /* enum wire_capability */
    uint32_t vcpus_online;
    uint32_t vcpus_present;
    uint32_t memory_mib;       /* memory given to the machine, the kernel's own included */
    uint32_t memory_total_mib; /* MemTotal */
    uint64_t uptime_ms;
};

struct wire_ping {
    uint64_t cookie;
};

struct wire_failure {
    uint32_t fault; /* enum wire_fault */
    uint32_t stream;
    struct wire_slice text;
};

/* A file laid down in the execution's working directory before it starts. Relative path, without "..". */
struct wire_file {
    struct wire_slice path;
    uint32_t mode; /* 0: 0644 */
    struct wire_slice content;
};

/* EXEC. One of `interpreter` with code (inline or as CODE frames), or `args`; with both, `args` follow the code's file. */
struct wire_exec {
    struct wire_slice interpreter;
    struct wire_slice code;
    struct wire_slice args[WIRE_ARGS_MAX];
    uint32_t n_args;
    struct wire_slice env[WIRE_ENV_MAX]; /* NAME=value */
    uint32_t n_env;
    struct wire_file files[WIRE_FILES_MAX];
    uint32_t n_files;
    struct wire_slice cwd; /* relative to the working directory, or absolute; empty: the working directory */
    uint32_t user;         /* enum wire_user */
    uint32_t memory_limit_mib;
    uint32_t pids_limit;         /* 0: the agent's default */
    uint32_t cpu_permille;       /* of one CPU; 0: no limit */
    uint64_t wall_limit_ms;      /* 0: none; of a held program for its preparation, and anew from EXEC_GO on */
    uint64_t output_limit_bytes; /* stdout and stderr together; 0: none */
    uint32_t with_stdin;         /* 0: standard input is empty */
    uint32_t keep_files;         /* the working directory outlives EXIT, until RELEASE */
    uint32_t hold;               /* HELD answers before a line of the program has run; EXEC_GO lets it */
    struct wire_slice preload[WIRE_PRELOAD_MAX]; /* modules that the interpreter of a held program loads meanwhile */
    uint32_t n_preload;
};

/* EXEC_GO. The limits count from here; zero: as EXEC said. */
struct wire_go {
    uint64_t wall_limit_ms;
    uint64_t output_limit_bytes;
    uint32_t without_stdin; /* of a held program: standard input is empty, whatever EXEC said */
};

struct wire_held {
    uint64_t latency_us;    /* since its code and files were complete */
    uint32_t is_started;    /* its interpreter runs and waits; 0: the process waits before it becomes the program */
    struct wire_slice text; /* a line for each module that could not be loaded */
};

struct wire_started {
    uint32_t pid;
    uint64_t latency_us; /* from the EXEC (or EXEC_GO) frame to the process running */
};

struct wire_exit {
    uint32_t reason; /* enum wire_reason */
    uint32_t status;
    uint32_t signal;
    struct wire_slice text;
    uint64_t cpu_user_us;
    uint64_t cpu_system_us;
    uint64_t memory_peak_bytes;
    uint64_t io_read_bytes;
    uint64_t io_write_bytes;
    uint64_t net_rx_bytes; /* of the whole guest while it ran */
    uint64_t net_tx_bytes;
    uint64_t wall_us;
    uint32_t pids_peak;
    uint64_t output_bytes;
    uint64_t throttled_us;
};

struct wire_kill {
    uint32_t signal; /* 0 or SIGKILL: the whole tree at once; others go to the execution's session leader's group */
};

struct wire_window {
    uint32_t credit; /* bytes more that the receiver of this frame may send on this stream */
};

struct wire_limits {
    uint32_t memory_limit_mib;
    uint32_t pids_limit;
    uint32_t cpu_permille;
};

struct wire_put_file {
    struct wire_slice path;
    uint32_t mode;
    uint32_t exec_stream; /* relative to that execution's working directory; 0: an absolute path */
    uint64_t size_limit_bytes;
};

struct wire_get_file {
    struct wire_slice path;
    uint32_t exec_stream;
    uint64_t offset;
    uint64_t length; /* 0: to the end */
};

struct wire_file_done {
    uint32_t error; /* errno of Linux, 0: done */
    struct wire_slice text;
    uint64_t size;
    uint32_t mode;
};

/* SHAPE_WAIT. Zero for what does not matter. */
struct wire_shape_wait {
    uint32_t vcpus;
    uint32_t memory_mib; /* as `memory_mib` of HELLO counts */
    uint32_t timeout_ms;
    uint32_t memory_max_mib; /* at most so much: after a SHRINK */
};

struct wire_shape {
    uint32_t satisfied;
    uint32_t vcpus_online;
    uint32_t vcpus_present;
    uint32_t memory_mib;
    uint32_t memory_total_mib;
    uint64_t waited_us;
};

struct wire_usage_subscribe {
    uint32_t interval_ms; /* 0: ends the subscription */
};

struct wire_usage_exec {
    uint32_t stream;
    uint64_t cpu_us;
    uint64_t memory_bytes;
    uint64_t memory_peak_bytes;
    uint32_t runnable;
    uint32_t pids;
    uint64_t io_read_bytes;
    uint64_t io_write_bytes;
    uint64_t throttled_us;
    uint64_t output_bytes;
    uint64_t oom_kills;
};

struct wire_usage {
    uint64_t at_us; /* the guest's monotonic clock */
    uint64_t memory_total_bytes;
    uint64_t memory_available_bytes;
    uint32_t runnable;
    uint32_t vcpus_online;
    uint64_t cpu_busy_us; /* all CPUs, since boot */
    uint64_t net_rx_bytes;
    uint64_t net_tx_bytes;
    uint64_t cpu_some_us; /* pressure totals since boot; 0 without PSI */
    uint64_t memory_some_us;
    uint64_t memory_full_us;
    uint64_t io_some_us;
    uint64_t io_full_us;
    struct wire_usage_exec execs[WIRE_EXECUTIONS_MAX];
    uint32_t n_execs;
    uint64_t swap_used_bytes;
    uint64_t memory_limit_bytes; /* what all executions together may use; 0: the agent sets no limit */
    uint32_t runnable_permille;  /* mean of the executions' runnable threads since the last USAGE, times 1000 */
};

/* ALARM. What lasts is told again each `repeat_ms`. All zero: silence. */
struct wire_alarm {
    /* Of what all executions together may use. At this mark the agent speaks up, and the kernel holds the code back
     * (memory.high of cgroup v2), the more the farther it is beyond: it waits for memory instead of dying for want of it. */
    uint32_t memory_permille;
    uint32_t
        memory_stall_us; /* so long within `window_us` some task stood still for memory; and so on; 0: not watched */
    uint32_t cpu_stall_us;
    uint32_t io_stall_us;
    uint32_t window_us; /* 500000 to 10000000 */
    uint32_t repeat_ms; /* 0: 100 */
    uint32_t
        memory_most_mib; /* that the machine may come to have: its kernel's share of that is kept free from now on */
};

enum wire_pressure_cause {
    WIRE_PRESSURE_MEMORY = 1 << 0, /* the mark is passed */
    WIRE_PRESSURE_MEMORY_STALL = 1 << 1,
    WIRE_PRESSURE_CPU_STALL = 1 << 2,
    WIRE_PRESSURE_IO_STALL = 1 << 3,
    WIRE_PRESSURE_OOM = 1 << 4, /* the kernel killed for memory */
};

struct wire_pressure {
    uint32_t causes;                 /* enum wire_pressure_cause */
    uint64_t at_us;                  /* the guest's monotonic clock */
    uint64_t memory_used_bytes;      /* by all executions */
    uint64_t memory_limit_bytes;     /* that they may use */
    uint64_t memory_total_bytes;     /* MemTotal */
    uint64_t memory_available_bytes; /* MemAvailable */
    uint32_t runnable;               /* threads of all executions that run or wait for a CPU */
    uint32_t vcpus_online;
    uint64_t oom_kills; /* since boot */
    uint64_t swap_used_bytes;
};

/* SHRINK asks for the guest's consent to have less; zero for what stays. CPUs beyond `vcpus` are taken offline at once. For memory, the
 * executions are bounded to what the smaller machine will have; the host then takes the memory and waits with SHAPE_WAIT. When that has not come
 * by `timeout_ms`, they are bounded again by what is there. */
struct wire_shrink {
    uint32_t vcpus;
    uint32_t memory_mib; /* as `memory_mib` of HELLO counts */
    uint32_t timeout_ms;
};

struct wire_shrink_ack {
    uint32_t vetoed; /* not 0: nothing was changed; `text` says why: what the code uses, or what the kernel refused */
    struct wire_slice text;
    uint32_t vcpus_online;
    uint32_t memory_mib;
    uint64_t memory_used_bytes; /* by all executions */
    uint32_t runnable;
};

/* IDENTITY. Whatever is empty or zero is left as it is. */
struct wire_identity {
    struct wire_slice hostname;
    struct wire_slice machine_id; /* 32 hexadecimal digits */
    struct wire_slice seed;
    uint64_t clock_realtime_ns;
    struct wire_slice interface; /* empty: the first that is not loopback */
    struct wire_slice mac;       /* aa:bb:cc:dd:ee:ff */
    struct wire_slice address;   /* IPv4, "10.0.0.2/24", or "dhcp" */
    struct wire_slice gateway;
    struct wire_slice dns;
};

/* One bit each for what was asked and done; `text` names what failed. */
enum wire_identity_part {
    WIRE_IDENTITY_HOSTNAME = 1 << 0,
    WIRE_IDENTITY_MACHINE_ID = 1 << 1,
    WIRE_IDENTITY_SEED = 1 << 2,
    WIRE_IDENTITY_CLOCK = 1 << 3,
    WIRE_IDENTITY_NETWORK = 1 << 4,
};

struct wire_identity_ack {
    uint32_t done;   /* enum wire_identity_part */
    uint32_t failed; /* enum wire_identity_part */
    struct wire_slice text;
};

struct wire_poweroff {
    uint32_t reboot;
};

struct wire_nothing {
    uint32_t unused;
};

/* "EXEC" for WIRE_TYPE_EXEC; NULL for a type that this version does not know. */
const char *wire_type_name(uint16_t type);

/* The struct of a type; NULL when its payload is raw bytes or the type is unknown. */
const struct wire_layout *wire_type_layout(uint16_t type);

/* True for the types whose payload is raw bytes and costs credit. */
bool wire_type_is_data(uint16_t type);

/* Decodes a frame into the struct of its type. */
bool wire_message_read(const struct wire_frame *frame, void *ret_message, struct wire_error *ret_error);

/* Appends a whole frame, or nothing. A HELLO gets its preamble. Without a message the payload is empty. */
bool wire_message_write(struct wire_buffer *out, uint16_t type, uint16_t flags, uint32_t stream, const void *message);

#define WIRE_MESSAGE(name, TYPE)                                                                           \
    static inline bool wire_##name##_write(struct wire_buffer *out, uint16_t flags, uint32_t stream,       \
                                           const struct wire_##name *message)                              \
    {                                                                                                      \
        return wire_message_write(out, WIRE_TYPE_##TYPE, flags, stream, message);                          \
    }                                                                                                      \
    static inline bool wire_##name##_read(const struct wire_frame *frame, struct wire_##name *ret_message, \
                                          struct wire_error *ret_error)                                    \
    {                                                                                                      \
        return wire_message_read(frame, ret_message, ret_error);                                           \
    }

WIRE_MESSAGE(hello, HELLO)
WIRE_MESSAGE(ping, PING)
WIRE_MESSAGE(failure, ERROR)
WIRE_MESSAGE(exec, EXEC)
WIRE_MESSAGE(go, EXEC_GO)
WIRE_MESSAGE(held, HELD)
WIRE_MESSAGE(started, STARTED)
WIRE_MESSAGE(exit, EXIT)
WIRE_MESSAGE(kill, KILL)
WIRE_MESSAGE(window, WINDOW)
WIRE_MESSAGE(limits, LIMITS)
WIRE_MESSAGE(put_file, PUT_FILE)
WIRE_MESSAGE(get_file, GET_FILE)
WIRE_MESSAGE(file_done, FILE_DONE)
WIRE_MESSAGE(shape_wait, SHAPE_WAIT)
WIRE_MESSAGE(shape, SHAPE)
WIRE_MESSAGE(usage_subscribe, USAGE_SUBSCRIBE)
WIRE_MESSAGE(usage, USAGE)
WIRE_MESSAGE(alarm, ALARM)
WIRE_MESSAGE(pressure, PRESSURE)
WIRE_MESSAGE(shrink, SHRINK)
WIRE_MESSAGE(shrink_ack, SHRINK_ACK)
WIRE_MESSAGE(identity, IDENTITY)
WIRE_MESSAGE(identity_ack, IDENTITY_ACK)
WIRE_MESSAGE(poweroff, POWEROFF)

#undef WIRE_MESSAGE
