/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "wire/message.h"

#include <stddef.h>

#define N(array) (sizeof(array) / sizeof((array)[0]))

#define U32(TAG, S, M)                                                       \
    {                                                                        \
        .tag = (TAG), .kind = WIRE_KIND_U32, .offset = offsetof(struct S, M) \
    }
#define U64(TAG, S, M)                                                       \
    {                                                                        \
        .tag = (TAG), .kind = WIRE_KIND_U64, .offset = offsetof(struct S, M) \
    }
#define U32_REQUIRED(TAG, S, M)                                                                \
    {                                                                                          \
        .tag = (TAG), .kind = WIRE_KIND_U32, .required = true, .offset = offsetof(struct S, M) \
    }
#define U64_REQUIRED(TAG, S, M)                                                                \
    {                                                                                          \
        .tag = (TAG), .kind = WIRE_KIND_U64, .required = true, .offset = offsetof(struct S, M) \
    }
#define TEXT(TAG, S, M, MAX)                                                                \
    {                                                                                       \
        .tag = (TAG), .kind = WIRE_KIND_TEXT, .max = (MAX), .offset = offsetof(struct S, M) \
    }
#define TEXT_REQUIRED(TAG, S, M, MAX)                                                                         \
    {                                                                                                         \
        .tag = (TAG), .kind = WIRE_KIND_TEXT, .required = true, .max = (MAX), .offset = offsetof(struct S, M) \
    }
#define BYTES(TAG, S, M, MAX)                                                                \
    {                                                                                        \
        .tag = (TAG), .kind = WIRE_KIND_BYTES, .max = (MAX), .offset = offsetof(struct S, M) \
    }
#define TEXTS(TAG, S, M, COUNT, MAX)                                                          \
    {                                                                                         \
        .tag = (TAG), .kind = WIRE_KIND_TEXTS, .max = (MAX), .offset = offsetof(struct S, M), \
        .count_offset = offsetof(struct S, COUNT)                                             \
    }
#define RECORDS(TAG, S, M, COUNT, MAX, LAYOUT)                                                  \
    {                                                                                           \
        .tag = (TAG), .kind = WIRE_KIND_RECORDS, .max = (MAX), .offset = offsetof(struct S, M), \
        .count_offset = offsetof(struct S, COUNT), .record = (LAYOUT)                           \
    }
#define LAYOUT(NAME)                                  \
    static const struct wire_layout NAME##_layout = { \
        .name = #NAME, .size = sizeof(struct wire_##NAME), .fields = NAME##_fields, .n_fields = N(NAME##_fields)}

static const struct wire_field hello_fields[] = {
    U32_REQUIRED(1, wire_hello, version_min), U32_REQUIRED(2, wire_hello, version_max),
    U64_REQUIRED(3, wire_hello, nonce),       TEXT(4, wire_hello, agent_version, 64),
    TEXT(5, wire_hello, boot_id, 64),         TEXT(6, wire_hello, machine_id, 64),
    TEXT(7, wire_hello, kernel, 128),         U64(8, wire_hello, capabilities),
    U32(9, wire_hello, vcpus_online),         U32(10, wire_hello, vcpus_present),
    U32(11, wire_hello, memory_mib),          U32(12, wire_hello, memory_total_mib),
    U64(13, wire_hello, uptime_ms),
};
LAYOUT(hello);

static const struct wire_field ping_fields[] = {U64(1, wire_ping, cookie)};
LAYOUT(ping);

static const struct wire_field failure_fields[] = {
    U32_REQUIRED(1, wire_failure, fault),
    U32(2, wire_failure, stream),
    TEXT(3, wire_failure, text, WIRE_TEXT_MAX),
};
LAYOUT(failure);

static const struct wire_field file_fields[] = {
    TEXT_REQUIRED(1, wire_file, path, WIRE_PATH_BYTES_MAX),
    U32(2, wire_file, mode),
    BYTES(3, wire_file, content, WIRE_PAYLOAD_MAX),
};
LAYOUT(file);

static const struct wire_field exec_fields[] = {
    TEXT(1, wire_exec, interpreter, 64),
    BYTES(2, wire_exec, code, WIRE_PAYLOAD_MAX),
    TEXTS(3, wire_exec, args, n_args, WIRE_ARGS_MAX),
    TEXTS(4, wire_exec, env, n_env, WIRE_ENV_MAX),
    RECORDS(5, wire_exec, files, n_files, WIRE_FILES_MAX, &file_layout),
    TEXT(6, wire_exec, cwd, WIRE_PATH_BYTES_MAX),
    U32(7, wire_exec, user),
    U32(8, wire_exec, memory_limit_mib),
    U32(9, wire_exec, pids_limit),
    U32(10, wire_exec, cpu_permille),
    U64(11, wire_exec, wall_limit_ms),
    U64(12, wire_exec, output_limit_bytes),
    U32(13, wire_exec, with_stdin),
    U32(14, wire_exec, keep_files),
    U32(15, wire_exec, hold),
    TEXTS(16, wire_exec, preload, n_preload, WIRE_PRELOAD_MAX),
};
LAYOUT(exec);

static const struct wire_field go_fields[] = {
    U64(1, wire_go, wall_limit_ms),
    U64(2, wire_go, output_limit_bytes),
    U32(3, wire_go, without_stdin),
};
LAYOUT(go);

static const struct wire_field held_fields[] = {
    U64(1, wire_held, latency_us),
    U32(2, wire_held, is_started),
    TEXT(3, wire_held, text, WIRE_TEXT_MAX),
};
LAYOUT(held);

static const struct wire_field started_fields[] = {
    U32(1, wire_started, pid),
    U64(2, wire_started, latency_us),
};
LAYOUT(started);

static const struct wire_field exit_fields[] = {
    U32_REQUIRED(1, wire_exit, reason),      U32(2, wire_exit, status),        U32(3, wire_exit, signal),
    TEXT(4, wire_exit, text, WIRE_TEXT_MAX), U64(5, wire_exit, cpu_user_us),   U64(6, wire_exit, cpu_system_us),
    U64(7, wire_exit, memory_peak_bytes),    U64(8, wire_exit, io_read_bytes), U64(9, wire_exit, io_write_bytes),
    U64(10, wire_exit, net_rx_bytes),        U64(11, wire_exit, net_tx_bytes), U64(12, wire_exit, wall_us),
    U32(13, wire_exit, pids_peak),           U64(14, wire_exit, output_bytes), U64(15, wire_exit, throttled_us),
};
LAYOUT(exit);

static const struct wire_field kill_fields[] = {U32(1, wire_kill, signal)};
LAYOUT(kill);

static const struct wire_field window_fields[] = {U32_REQUIRED(1, wire_window, credit)};
LAYOUT(window);

static const struct wire_field limits_fields[] = {
    U32(1, wire_limits, memory_limit_mib),
    U32(2, wire_limits, pids_limit),
    U32(3, wire_limits, cpu_permille),
};
LAYOUT(limits);

static const struct wire_field put_file_fields[] = {
    TEXT_REQUIRED(1, wire_put_file, path, WIRE_PATH_BYTES_MAX),
    U32(2, wire_put_file, mode),
    U32(3, wire_put_file, exec_stream),
    U64(4, wire_put_file, size_limit_bytes),
};
LAYOUT(put_file);

static const struct wire_field get_file_fields[] = {
    TEXT_REQUIRED(1, wire_get_file, path, WIRE_PATH_BYTES_MAX),
    U32(2, wire_get_file, exec_stream),
    U64(3, wire_get_file, offset),
    U64(4, wire_get_file, length),
};
LAYOUT(get_file);

static const struct wire_field file_done_fields[] = {
    U32_REQUIRED(1, wire_file_done, error),
    TEXT(2, wire_file_done, text, WIRE_TEXT_MAX),
    U64(3, wire_file_done, size),
    U32(4, wire_file_done, mode),
};
LAYOUT(file_done);

static const struct wire_field shape_wait_fields[] = {
    U32(1, wire_shape_wait, vcpus),
    U32(2, wire_shape_wait, memory_mib),
    U32(3, wire_shape_wait, timeout_ms),
    U32(4, wire_shape_wait, memory_max_mib),
};
LAYOUT(shape_wait);

static const struct wire_field shape_fields[] = {
    U32_REQUIRED(1, wire_shape, satisfied), U32(2, wire_shape, vcpus_online),     U32(3, wire_shape, vcpus_present),
    U32(4, wire_shape, memory_mib),         U32(5, wire_shape, memory_total_mib), U64(6, wire_shape, waited_us),
};
LAYOUT(shape);

static const struct wire_field usage_subscribe_fields[] = {U32(1, wire_usage_subscribe, interval_ms)};
LAYOUT(usage_subscribe);

static const struct wire_field usage_exec_fields[] = {
    U32_REQUIRED(1, wire_usage_exec, stream), U64(2, wire_usage_exec, cpu_us),
    U64(3, wire_usage_exec, memory_bytes),    U64(4, wire_usage_exec, memory_peak_bytes),
    U32(5, wire_usage_exec, runnable),        U32(6, wire_usage_exec, pids),
    U64(7, wire_usage_exec, io_read_bytes),   U64(8, wire_usage_exec, io_write_bytes),
    U64(9, wire_usage_exec, throttled_us),    U64(10, wire_usage_exec, output_bytes),
    U64(11, wire_usage_exec, oom_kills),
};
LAYOUT(usage_exec);

static const struct wire_field usage_fields[] = {
    U64_REQUIRED(1, wire_usage, at_us),
    U64(2, wire_usage, memory_total_bytes),
    U64(3, wire_usage, memory_available_bytes),
    U32(4, wire_usage, runnable),
    U32(5, wire_usage, vcpus_online),
    U64(6, wire_usage, cpu_busy_us),
    U64(7, wire_usage, net_rx_bytes),
    U64(8, wire_usage, net_tx_bytes),
    U64(9, wire_usage, cpu_some_us),
    U64(10, wire_usage, memory_some_us),
    U64(11, wire_usage, memory_full_us),
    U64(12, wire_usage, io_some_us),
    U64(13, wire_usage, io_full_us),
    RECORDS(14, wire_usage, execs, n_execs, WIRE_EXECUTIONS_MAX, &usage_exec_layout),
    U64(15, wire_usage, swap_used_bytes),
    U64(16, wire_usage, memory_limit_bytes),
    U32(17, wire_usage, runnable_permille),
};
LAYOUT(usage);

static const struct wire_field alarm_fields[] = {
    U32(1, wire_alarm, memory_permille), U32(2, wire_alarm, memory_stall_us), U32(3, wire_alarm, cpu_stall_us),
    U32(4, wire_alarm, io_stall_us),     U32(5, wire_alarm, window_us),       U32(6, wire_alarm, repeat_ms),
    U32(7, wire_alarm, memory_most_mib),
};
LAYOUT(alarm);

static const struct wire_field pressure_fields[] = {
    U32_REQUIRED(1, wire_pressure, causes),    U64(2, wire_pressure, at_us),
    U64(3, wire_pressure, memory_used_bytes),  U64(4, wire_pressure, memory_limit_bytes),
    U64(5, wire_pressure, memory_total_bytes), U64(6, wire_pressure, memory_available_bytes),
    U32(7, wire_pressure, runnable),           U32(8, wire_pressure, vcpus_online),
    U64(9, wire_pressure, oom_kills),          U64(10, wire_pressure, swap_used_bytes),
};
LAYOUT(pressure);

static const struct wire_field shrink_fields[] = {
    U32(1, wire_shrink, vcpus),
    U32(2, wire_shrink, memory_mib),
    U32(3, wire_shrink, timeout_ms),
};
LAYOUT(shrink);

static const struct wire_field shrink_ack_fields[] = {
    U32_REQUIRED(1, wire_shrink_ack, vetoed),   TEXT(2, wire_shrink_ack, text, WIRE_TEXT_MAX),
    U32(3, wire_shrink_ack, vcpus_online),      U32(4, wire_shrink_ack, memory_mib),
    U64(5, wire_shrink_ack, memory_used_bytes), U32(6, wire_shrink_ack, runnable),
};
LAYOUT(shrink_ack);

static const struct wire_field identity_fields[] = {
    TEXT(1, wire_identity, hostname, 64),
    TEXT(2, wire_identity, machine_id, 32),
    BYTES(3, wire_identity, seed, WIRE_SEED_MAX),
    U64(4, wire_identity, clock_realtime_ns),
    TEXT(5, wire_identity, interface, 15),
    TEXT(6, wire_identity, mac, 17),
    TEXT(7, wire_identity, address, 32),
    TEXT(8, wire_identity, gateway, 15),
    TEXT(9, wire_identity, dns, 15),
};
LAYOUT(identity);

static const struct wire_field identity_ack_fields[] = {
    U32_REQUIRED(1, wire_identity_ack, done),
    U32(2, wire_identity_ack, failed),
    TEXT(3, wire_identity_ack, text, WIRE_TEXT_MAX),
};
LAYOUT(identity_ack);

static const struct wire_field poweroff_fields[] = {U32(1, wire_poweroff, reboot)};
LAYOUT(poweroff);

static const struct wire_field nothing_fields[] = {U32(1, wire_nothing, unused)};
LAYOUT(nothing);

/* A type without a layout carries raw bytes. */
static const struct {
    uint16_t type;
    const char *name;
    const struct wire_layout *layout;
} types[] = {
    {WIRE_TYPE_HELLO, "HELLO", &hello_layout},
    {WIRE_TYPE_PING, "PING", &ping_layout},
    {WIRE_TYPE_PONG, "PONG", &ping_layout},
    {WIRE_TYPE_ERROR, "ERROR", &failure_layout},
    {WIRE_TYPE_EXEC, "EXEC", &exec_layout},
    {WIRE_TYPE_CODE, "CODE", NULL},
    {WIRE_TYPE_EXEC_GO, "EXEC_GO", &go_layout},
    {WIRE_TYPE_STARTED, "STARTED", &started_layout},
    {WIRE_TYPE_STDIN, "STDIN", NULL},
    {WIRE_TYPE_STDOUT, "STDOUT", NULL},
    {WIRE_TYPE_STDERR, "STDERR", NULL},
    {WIRE_TYPE_EXIT, "EXIT", &exit_layout},
    {WIRE_TYPE_KILL, "KILL", &kill_layout},
    {WIRE_TYPE_WINDOW, "WINDOW", &window_layout},
    {WIRE_TYPE_RELEASE, "RELEASE", &nothing_layout},
    {WIRE_TYPE_LIMITS, "LIMITS", &limits_layout},
    {WIRE_TYPE_HELD, "HELD", &held_layout},
    {WIRE_TYPE_PUT_FILE, "PUT_FILE", &put_file_layout},
    {WIRE_TYPE_GET_FILE, "GET_FILE", &get_file_layout},
    {WIRE_TYPE_DATA, "DATA", NULL},
    {WIRE_TYPE_FILE_DONE, "FILE_DONE", &file_done_layout},
    {WIRE_TYPE_SHAPE_WAIT, "SHAPE_WAIT", &shape_wait_layout},
    {WIRE_TYPE_SHAPE, "SHAPE", &shape_layout},
    {WIRE_TYPE_USAGE_SUBSCRIBE, "USAGE_SUBSCRIBE", &usage_subscribe_layout},
    {WIRE_TYPE_USAGE, "USAGE", &usage_layout},
    {WIRE_TYPE_ALARM, "ALARM", &alarm_layout},
    {WIRE_TYPE_PRESSURE, "PRESSURE", &pressure_layout},
    {WIRE_TYPE_SHRINK, "SHRINK", &shrink_layout},
    {WIRE_TYPE_SHRINK_ACK, "SHRINK_ACK", &shrink_ack_layout},
    {WIRE_TYPE_IDENTITY, "IDENTITY", &identity_layout},
    {WIRE_TYPE_IDENTITY_ACK, "IDENTITY_ACK", &identity_ack_layout},
    {WIRE_TYPE_POWEROFF, "POWEROFF", &poweroff_layout},
};

const char *wire_type_name(uint16_t type)
{
    for (size_t i = 0; i < N(types); i++) {
        if (types[i].type == type)
            return types[i].name;
    }
    return NULL;
}

const struct wire_layout *wire_type_layout(uint16_t type)
{
    for (size_t i = 0; i < N(types); i++) {
        if (types[i].type == type)
            return types[i].layout;
    }
    return NULL;
}

bool wire_type_is_data(uint16_t type)
{
    return wire_type_name(type) && !wire_type_layout(type);
}

bool wire_message_read(const struct wire_frame *frame, void *ret_message, struct wire_error *ret_error)
{
    const struct wire_layout *layout = wire_type_layout(frame->type);
    if (!layout) {
        if (ret_error)
            *ret_error = (struct wire_error){.status = WIRE_UNKNOWN_TYPE};
        return false;
    }
    return wire_record_decode(layout, frame->payload, frame->size, ret_message, ret_error);
}

bool wire_message_write(struct wire_buffer *out, uint16_t type, uint16_t flags, uint32_t stream, const void *message)
{
    const struct wire_layout *layout = wire_type_layout(type);
    size_t begun_at = out->size;

    if (!layout)
        return false;
    if (type == WIRE_TYPE_HELLO)
        wire_buffer_append(out, WIRE_PREAMBLE, WIRE_PREAMBLE_SIZE);

    size_t frame_at = wire_frame_begin(out, type, flags, stream);
    if (message)
        wire_record_encode(layout, message, out);
    if (wire_frame_end(out, frame_at))
        return true;
    wire_buffer_truncate(out, begun_at);
    return false;
}
