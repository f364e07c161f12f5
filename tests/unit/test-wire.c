/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The rules of the guest protocol: bounds, resynchronisation, forward compatibility, exact refusals. */
#include "wire/credit.h"
#include "wire/message.h"

#include <check.h>
#include <stdlib.h>

static struct wire_buffer out;
static struct wire_reader reader;

static void setup(void)
{
    wire_buffer_init(&out, 4 * WIRE_PAYLOAD_MAX);
    wire_reader_init(&reader);
}

static void teardown(void)
{
    wire_buffer_clear(&out);
    wire_reader_clear(&reader);
}

static void write_hello(uint64_t nonce)
{
    struct wire_hello hello = {.version_min = 1, .version_max = 1, .nonce = nonce};
    ck_assert(wire_hello_write(&out, 0, WIRE_STREAM_CONTROL, &hello));
}

static void feed_all(void)
{
    ck_assert_uint_eq(wire_reader_feed(&reader, out.data, out.size), out.size);
    wire_buffer_reset(&out);
}

static struct wire_frame expect_frame(uint16_t type)
{
    struct wire_frame frame = {0};
    ck_assert_int_eq(wire_reader_next(&reader, &frame), WIRE_NEXT_FRAME);
    ck_assert_uint_eq(frame.type, type);
    return frame;
}

static void expect_next(enum wire_next expected)
{
    struct wire_frame frame;
    ck_assert_int_eq(wire_reader_next(&reader, &frame), expected);
}

static void begin_session(void)
{
    write_hello(1);
    feed_all();
    expect_frame(WIRE_TYPE_HELLO);
}

START_TEST(bytes_before_the_preamble_are_discarded)
{
    wire_buffer_append(&out, "leftover of an older session \xff\xfe", 31);
    write_hello(7);
    feed_all();

    struct wire_frame frame = expect_frame(WIRE_TYPE_HELLO);
    struct wire_hello hello;
    ck_assert(wire_hello_read(&frame, &hello, NULL));
    ck_assert_uint_eq(hello.nonce, 7);
    ck_assert_uint_eq(reader.discarded, 31);
    expect_next(WIRE_NEXT_MORE);
}
END_TEST

START_TEST(a_session_arrives_byte_by_byte)
{
    struct wire_ping ping = {.cookie = 42};
    write_hello(7);
    wire_ping_write(&out, 0, WIRE_STREAM_CONTROL, &ping);
    wire_frame_write(&out, WIRE_TYPE_STDIN, WIRE_FLAG_FIN, 9, "abc", 3);

    int n_frames = 0;
    struct wire_frame frame = {0};
    for (size_t i = 0; i < out.size; i++) {
        ck_assert_uint_eq(wire_reader_feed(&reader, out.data + i, 1), 1);
        n_frames += wire_reader_next(&reader, &frame) == WIRE_NEXT_FRAME;
    }
    ck_assert_int_eq(n_frames, 3);
    ck_assert_uint_eq(frame.stream, 9);
    ck_assert_uint_eq(frame.flags, WIRE_FLAG_FIN);
    ck_assert_mem_eq(frame.payload, "abc", 3);
}
END_TEST

START_TEST(a_preamble_at_a_frame_border_begins_a_new_session)
{
    begin_session();
    write_hello(8);
    feed_all();
    struct wire_frame frame = expect_frame(WIRE_TYPE_HELLO);
    struct wire_hello hello;
    ck_assert(wire_hello_read(&frame, &hello, NULL));
    ck_assert_uint_eq(hello.nonce, 8);
}
END_TEST

START_TEST(a_preamble_inside_a_payload_is_data)
{
    begin_session();
    wire_frame_write(&out, WIRE_TYPE_CODE, 0, 3, WIRE_PREAMBLE, WIRE_PREAMBLE_SIZE);
    feed_all();
    struct wire_frame frame = expect_frame(WIRE_TYPE_CODE);
    ck_assert_uint_eq(frame.size, WIRE_PREAMBLE_SIZE);
}
END_TEST

START_TEST(a_session_start_is_known_by_its_first_bytes)
{
    write_hello(3);
    ck_assert(wire_is_session_start(out.data, out.size));
    ck_assert(!wire_is_session_start(out.data, WIRE_PREAMBLE_SIZE + WIRE_HEADER_SIZE - 1));
    ck_assert(!wire_is_session_start(out.data + 1, out.size - 1));
    out.data[WIRE_PREAMBLE_SIZE + 4] = WIRE_TYPE_PING;
    ck_assert(!wire_is_session_start(out.data, out.size));
}
END_TEST

START_TEST(an_oversized_frame_is_a_violation_and_the_next_session_is_found)
{
    static const uint8_t oversized[WIRE_HEADER_SIZE] = {1, 0, 4, 0, WIRE_TYPE_STDIN};
    begin_session();
    wire_buffer_append(&out, oversized, sizeof(oversized));
    wire_buffer_append(&out, "garbage", 7);
    write_hello(9);
    feed_all();
    expect_next(WIRE_NEXT_VIOLATION);
    expect_frame(WIRE_TYPE_HELLO);
}
END_TEST

START_TEST(a_hello_without_a_preamble_is_a_violation)
{
    begin_session();
    wire_frame_write(&out, WIRE_TYPE_HELLO, 0, 0, "", 0);
    feed_all();
    expect_next(WIRE_NEXT_VIOLATION);
}
END_TEST

START_TEST(nothing_but_a_hello_may_follow_a_preamble)
{
    struct wire_ping ping = {.cookie = 1};
    wire_buffer_append(&out, WIRE_PREAMBLE, WIRE_PREAMBLE_SIZE);
    wire_ping_write(&out, 0, 0, &ping);
    feed_all();
    expect_next(WIRE_NEXT_VIOLATION);
    begin_session();
}
END_TEST

START_TEST(the_largest_frame_passes_and_one_byte_more_is_not_written)
{
    uint8_t *payload = calloc(1, WIRE_PAYLOAD_MAX + 1);
    begin_session();
    ck_assert(!wire_frame_write(&out, WIRE_TYPE_CODE, 0, 1, payload, WIRE_PAYLOAD_MAX + 1));
    ck_assert_uint_eq(out.size, 0);
    ck_assert(wire_frame_write(&out, WIRE_TYPE_CODE, 0, 1, payload, WIRE_PAYLOAD_MAX));
    feed_all();
    struct wire_frame frame = expect_frame(WIRE_TYPE_CODE);
    ck_assert_uint_eq(frame.size, WIRE_PAYLOAD_MAX);
    free(payload);
}
END_TEST

START_TEST(a_full_reader_takes_no_more_until_frames_are_taken_out)
{
    uint8_t *payload = calloc(1, WIRE_PAYLOAD_MAX);
    begin_session();
    wire_frame_write(&out, WIRE_TYPE_CODE, 0, 1, payload, WIRE_PAYLOAD_MAX);
    wire_frame_write(&out, WIRE_TYPE_CODE, 0, 2, payload, WIRE_PAYLOAD_MAX);
    free(payload);

    size_t taken = wire_reader_feed(&reader, out.data, out.size);
    ck_assert_uint_lt(taken, out.size);
    expect_frame(WIRE_TYPE_CODE);
    ck_assert_uint_eq(wire_reader_feed(&reader, out.data + taken, out.size - taken), out.size - taken);
    ck_assert_uint_eq(expect_frame(WIRE_TYPE_CODE).stream, 2);
}
END_TEST

START_TEST(an_execution_survives_the_round_trip)
{
    struct wire_exec exec = {
        .interpreter = wire_text("python3"),
        .code = wire_slice("print(1)\0x", 10),
        .args = {wire_text("one"), wire_text("")},
        .n_args = 2,
        .env = {wire_text("A=b")},
        .n_env = 1,
        .files = {{.path = wire_text("data/in.txt"), .mode = 0600, .content = wire_text("hello")},
                  {.path = wire_text("empty")}},
        .n_files = 2,
        .user = WIRE_USER_SHARED,
        .memory_limit_mib = 64,
        .wall_limit_ms = UINT64_C(0x123456789ab),
        .with_stdin = 1,
    };
    struct wire_exec back;
    begin_session();
    ck_assert(wire_exec_write(&out, WIRE_FLAG_FIN, 5, &exec));
    feed_all();
    struct wire_frame frame = expect_frame(WIRE_TYPE_EXEC);
    ck_assert(wire_exec_read(&frame, &back, NULL));
    ck_assert_uint_eq(back.code.size, 10);
    ck_assert_mem_eq(back.code.data, "print(1)\0x", 10);
    ck_assert_uint_eq(back.n_args, 2);
    ck_assert_uint_eq(back.args[1].size, 0);
    ck_assert_uint_eq(back.n_files, 2);
    ck_assert_uint_eq(back.files[0].mode, 0600);
    ck_assert_mem_eq(back.files[0].content.data, "hello", 5);
    ck_assert_uint_eq(back.wall_limit_ms, exec.wall_limit_ms);
    ck_assert_uint_eq(back.user, WIRE_USER_SHARED);
}
END_TEST

/* One row for each way in which a payload of KILL, EXEC or WINDOW may be wrong. */
static const struct {
    const char *rule;
    uint16_t type;
    enum wire_status status;
    uint32_t offset;
    uint32_t size;
    uint8_t payload[32];
} refusals[] = {
    {"half a field header", WIRE_TYPE_KILL, WIRE_TRUNCATED, 0, 3, {1, 0, 4}},
    {"a length over the end", WIRE_TYPE_KILL, WIRE_TRUNCATED, 0, 8, {1, 0, 4, 0, 0, 0, 9, 9}},
    {"the largest length", WIRE_TYPE_KILL, WIRE_TRUNCATED, 0, 6, {1, 0, 255, 255, 255, 255}},
    {"a u32 of 2 bytes", WIRE_TYPE_KILL, WIRE_BAD_LENGTH, 0, 8, {1, 0, 2, 0, 0, 0, 9, 9}},
    {"a field twice", WIRE_TYPE_KILL, WIRE_DUPLICATE, 10, 20, {1, 0, 4, 0, 0, 0, 9, 0, 0, 0,
                                                               1, 0, 4, 0, 0, 0, 9, 0, 0, 0}},
    {"a required field absent", WIRE_TYPE_WINDOW, WIRE_MISSING, 0, 0, {0}},
    {"a NUL in a text", WIRE_TYPE_EXEC, WIRE_BAD_TEXT, 0, 8, {1, 0, 2, 0, 0, 0, 's', 0}},
    {"a file without a path", WIRE_TYPE_EXEC, WIRE_MISSING, 6, 6, {5, 0, 0, 0, 0, 0}},
    {"a bad field inside a file", WIRE_TYPE_EXEC, WIRE_BAD_LENGTH, 6, 13, {5, 0, 7, 0, 0, 0, 2, 0, 1, 0, 0, 0, 1}},
    {"raw bytes have no fields", WIRE_TYPE_STDIN, WIRE_UNKNOWN_TYPE, 0, 0, {0}},
    {"a type of the future", 0x7777, WIRE_UNKNOWN_TYPE, 0, 0, {0}},
};

START_TEST(a_bad_payload_is_refused_with_its_place)
{
    static struct wire_exec message;
    struct wire_error error = {0};
    struct wire_frame frame = {.type = refusals[_i].type, .size = refusals[_i].size, .payload = refusals[_i].payload};
    ck_assert_msg(!wire_message_read(&frame, &message, &error), "%s: accepted", refusals[_i].rule);
    ck_assert_msg(error.status == refusals[_i].status, "%s: %s", refusals[_i].rule, wire_status_text(error.status));
    ck_assert_msg(error.offset == refusals[_i].offset, "%s: at %u", refusals[_i].rule, error.offset);
}
END_TEST

START_TEST(an_unknown_field_is_skipped)
{
    static const uint8_t payload[] = {0x99, 0x99, 3, 0, 0, 0, 'x', 'y', 'z', 1, 0, 4, 0, 0, 0, 15, 0, 0, 0};
    struct wire_frame frame = {.type = WIRE_TYPE_KILL, .size = sizeof(payload), .payload = payload};
    struct wire_kill kill;
    ck_assert(wire_kill_read(&frame, &kill, NULL));
    ck_assert_uint_eq(kill.signal, 15);
}
END_TEST

START_TEST(one_argument_too_many_is_refused)
{
    static struct wire_exec exec;
    for (size_t i = 0; i <= WIRE_ARGS_MAX; i++)
        wire_buffer_append(&out, (uint8_t[]){3, 0, 1, 0, 0, 0, 'x'}, 7);
    struct wire_frame frame = {.type = WIRE_TYPE_EXEC, .size = (uint32_t)out.size - 7, .payload = out.data};
    struct wire_error error;
    ck_assert(wire_exec_read(&frame, &exec, &error));
    ck_assert_uint_eq(exec.n_args, WIRE_ARGS_MAX);
    frame.size += 7;
    ck_assert(!wire_exec_read(&frame, &exec, &error));
    ck_assert_int_eq(error.status, WIRE_TOO_MANY);
    ck_assert_uint_eq(error.offset, WIRE_ARGS_MAX * 7);
    ck_assert_uint_eq(exec.n_args, 0);
}
END_TEST

START_TEST(one_module_too_many_is_refused)
{
    static struct wire_exec exec;
    for (size_t i = 0; i <= WIRE_PRELOAD_MAX; i++)
        wire_buffer_append(&out, (uint8_t[]){16, 0, 1, 0, 0, 0, 'x'}, 7);
    struct wire_frame frame = {.type = WIRE_TYPE_EXEC, .size = (uint32_t)out.size - 7, .payload = out.data};
    struct wire_error error;
    ck_assert(wire_exec_read(&frame, &exec, &error));
    ck_assert_uint_eq(exec.n_preload, WIRE_PRELOAD_MAX);
    frame.size += 7;
    ck_assert(!wire_exec_read(&frame, &exec, &error));
    ck_assert_int_eq(error.status, WIRE_TOO_MANY);
}
END_TEST

/* An EXEC_GO of a host that knows nothing of held programs is empty. */
START_TEST(a_message_without_fields_may_be_left_out)
{
    struct wire_go go = {.wall_limit_ms = 1};
    begin_session();
    ck_assert(wire_message_write(&out, WIRE_TYPE_EXEC_GO, 0, 5, NULL));
    feed_all();
    struct wire_frame frame = expect_frame(WIRE_TYPE_EXEC_GO);
    ck_assert_uint_eq(frame.size, 0);
    ck_assert(wire_go_read(&frame, &go, NULL));
    ck_assert_uint_eq(go.wall_limit_ms, 0);
}
END_TEST

START_TEST(a_value_above_its_bound_is_not_written)
{
    struct wire_identity identity = {.machine_id = wire_text("0123456789abcdef0123456789abcdef0")};
    ck_assert(!wire_identity_write(&out, 0, 0, &identity));
    ck_assert_uint_eq(out.size, 0);
    ck_assert(!out.failed);
}
END_TEST

START_TEST(a_buffer_never_passes_its_limit)
{
    struct wire_buffer small;
    wire_buffer_init(&small, 300);
    ck_assert(wire_buffer_append(&small, out.data, 0));
    for (int i = 0; i < 300; i++)
        ck_assert(wire_buffer_append(&small, "x", 1));
    ck_assert(!wire_buffer_append(&small, "x", 1));
    ck_assert(small.failed);
    ck_assert_uint_eq(small.capacity, 300);
    wire_buffer_clear(&small);
}
END_TEST

START_TEST(credit_is_spent_returned_and_bounded)
{
    struct wire_credit credit;
    wire_credit_init(&credit);
    ck_assert(!wire_credit_received(&credit, WIRE_WINDOW_INITIAL + 1));
    ck_assert(wire_credit_received(&credit, WIRE_WINDOW_INITIAL));
    ck_assert(!wire_credit_received(&credit, 1));
    ck_assert_uint_eq(wire_credit_consumed(&credit, 10), 0);
    ck_assert_uint_eq(wire_credit_consumed(&credit, WIRE_WINDOW_INITIAL - 10), WIRE_WINDOW_INITIAL);
    ck_assert(wire_credit_received(&credit, WIRE_WINDOW_INITIAL));
    ck_assert(wire_credit_granted(&credit, WIRE_WINDOW_MAX - WIRE_WINDOW_INITIAL));
    ck_assert(!wire_credit_granted(&credit, 1));
}
END_TEST

static const uint16_t structured[] = {
    WIRE_TYPE_HELLO,           WIRE_TYPE_PING,     WIRE_TYPE_PONG,
    WIRE_TYPE_ERROR,           WIRE_TYPE_EXEC,     WIRE_TYPE_EXEC_GO,
    WIRE_TYPE_STARTED,         WIRE_TYPE_EXIT,     WIRE_TYPE_KILL,
    WIRE_TYPE_WINDOW,          WIRE_TYPE_RELEASE,  WIRE_TYPE_LIMITS,
    WIRE_TYPE_PUT_FILE,        WIRE_TYPE_GET_FILE, WIRE_TYPE_FILE_DONE,
    WIRE_TYPE_SHAPE_WAIT,      WIRE_TYPE_SHAPE,    WIRE_TYPE_USAGE,
    WIRE_TYPE_USAGE_SUBSCRIBE, WIRE_TYPE_IDENTITY, WIRE_TYPE_IDENTITY_ACK,
    WIRE_TYPE_POWEROFF,        WIRE_TYPE_HELD,
};

static void fill_record(const struct wire_layout *layout, uint8_t *record)
{
    for (size_t i = 0; i < layout->n_fields; i++) {
        const struct wire_field *field = &layout->fields[i];
        uint64_t number = UINT64_C(0x1122334455660000) + field->tag;
        struct wire_slice slice = wire_text("text");
        uint32_t count = 2;
        switch ((enum wire_kind)field->kind) {
        case WIRE_KIND_U32:
            memcpy(record + field->offset, &number, sizeof(uint32_t));
            break;
        case WIRE_KIND_U64:
            memcpy(record + field->offset, &number, sizeof(uint64_t));
            break;
        case WIRE_KIND_TEXT:
        case WIRE_KIND_BYTES:
            memcpy(record + field->offset, &slice, sizeof(slice));
            break;
        case WIRE_KIND_TEXTS:
            memcpy(record + field->offset, &slice, sizeof(slice));
            memcpy(record + field->offset + sizeof(slice), &slice, sizeof(slice));
            memcpy(record + field->count_offset, &count, sizeof(count));
            break;
        case WIRE_KIND_RECORDS:
            fill_record(field->record, record + field->offset);
            fill_record(field->record, record + field->offset + field->record->size);
            memcpy(record + field->count_offset, &count, sizeof(count));
            break;
        }
    }
}

START_TEST(every_field_of_every_message_survives_the_round_trip)
{
    static union {
        struct wire_exec exec;
        struct wire_usage usage;
        uint8_t bytes[64 * 1024];
    } message, back;
    uint16_t type = structured[_i];
    const struct wire_layout *layout = wire_type_layout(type);
    struct wire_error error;

    memset(&message, 0, sizeof(message));
    ck_assert_ptr_nonnull(layout);
    ck_assert_uint_le(layout->size, sizeof(message));
    ck_assert_uint_le(layout->n_fields, 64);
    fill_record(layout, message.bytes);
    ck_assert(wire_message_write(&out, type, 0, 1, &message));

    size_t skip = WIRE_HEADER_SIZE + (type == WIRE_TYPE_HELLO ? WIRE_PREAMBLE_SIZE : 0);
    struct wire_frame frame = {.type = type, .size = (uint32_t)(out.size - skip), .payload = out.data + skip};
    ck_assert_msg(wire_message_read(&frame, &back, &error), "%s: %s", layout->name, wire_status_text(error.status));

    struct wire_buffer again;
    wire_buffer_init(&again, WIRE_PAYLOAD_MAX);
    ck_assert(wire_message_write(&again, type, 0, 1, &back));
    ck_assert_uint_eq(again.size, out.size);
    ck_assert_mem_eq(again.data, out.data, out.size);
    wire_buffer_clear(&again);

    for (uint32_t size = 0; size < frame.size; size++) {
        struct wire_frame cut = frame;
        cut.size = size;
        if (!wire_message_read(&cut, &back, &error))
            ck_assert_uint_le(error.offset, size);
    }
}
END_TEST

static Suite *wire_suite(void)
{
    Suite *suite = suite_create("wire");
    TCase *frames = tcase_create("frames");
    tcase_add_checked_fixture(frames, setup, teardown);
    tcase_add_test(frames, bytes_before_the_preamble_are_discarded);
    tcase_add_test(frames, a_session_arrives_byte_by_byte);
    tcase_add_test(frames, a_preamble_at_a_frame_border_begins_a_new_session);
    tcase_add_test(frames, a_preamble_inside_a_payload_is_data);
    tcase_add_test(frames, a_session_start_is_known_by_its_first_bytes);
    tcase_add_test(frames, an_oversized_frame_is_a_violation_and_the_next_session_is_found);
    tcase_add_test(frames, a_hello_without_a_preamble_is_a_violation);
    tcase_add_test(frames, nothing_but_a_hello_may_follow_a_preamble);
    tcase_add_test(frames, the_largest_frame_passes_and_one_byte_more_is_not_written);
    tcase_add_test(frames, a_full_reader_takes_no_more_until_frames_are_taken_out);
    suite_add_tcase(suite, frames);

    TCase *records = tcase_create("records");
    tcase_add_checked_fixture(records, setup, teardown);
    tcase_add_test(records, an_execution_survives_the_round_trip);
    tcase_add_loop_test(records, a_bad_payload_is_refused_with_its_place, 0, sizeof(refusals) / sizeof(refusals[0]));
    tcase_add_test(records, an_unknown_field_is_skipped);
    tcase_add_test(records, one_argument_too_many_is_refused);
    tcase_add_test(records, one_module_too_many_is_refused);
    tcase_add_test(records, a_message_without_fields_may_be_left_out);
    tcase_add_test(records, a_value_above_its_bound_is_not_written);
    tcase_add_test(records, a_buffer_never_passes_its_limit);
    tcase_add_test(records, credit_is_spent_returned_and_bounded);
    tcase_add_loop_test(records, every_field_of_every_message_survives_the_round_trip, 0,
                        sizeof(structured) / sizeof(structured[0]));
    suite_add_tcase(suite, records);
    return suite;
}

int main(void)
{
    SRunner *runner = srunner_create(wire_suite());
    srunner_run_all(runner, CK_NORMAL);
    int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
