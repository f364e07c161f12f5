/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* libharbinger: the C client of Harbinger, the VM pre-instantiation manager. Link with `pkg-config --libs harbinger`.
 *
 * Tell Harbinger that code will run soon, later run it, and find the VM already there:
 *
 *     struct hbr_client *client = hbr_client_new(NULL, NULL);
 *     hbr_notify(client, "{\"code\":{\"function\":\"thumbnails\",\"language\":\"python\"},\"arrival_in_ms\":5000}", NULL, NULL);
 *     ...
 *     struct hbr_exec_result result = HBR_EXEC_RESULT_INIT;
 *     struct hbr_error error = HBR_ERROR_INIT;
 *     if (!hbr_execute(client, "{\"code\":{\"function\":\"thumbnails\"},\"program\":{\"interpreter\":\"python3\","
 *                              "\"source\":\"print(6 * 7)\"}}", &callbacks, &result, &error))
 *         fprintf(stderr, "%s\n", error.message);
 *     hbr_exec_result_clear(&result);
 *     hbr_error_clear(&error);
 *     hbr_client_free(client);
 *
 * Conventions, for every function of this header:
 *  - Bodies are JSON text in UTF-8, in the forms of harbinger-api(7). What a function takes is read during the call only.
 *  - Functions that can fail return true or false. With false, `error` (unless it is NULL) says why, and no `ret_` parameter
 *    has been touched. With true, `error` has not been touched.
 *  - `error` points to a struct that was initialised with HBR_ERROR_INIT; one that already holds an error is cleared first.
 *  - What comes out of a `ret_` parameter belongs to the caller: strings are freed with hbr_free(), structs are cleared with
 *    their own function. A `ret_` parameter may be NULL.
 *  - Times are RFC 3339 text in JSON; durations carry their unit in the name.
 *
 * Threads: a client is used by one thread at a time; any number of clients may be used at once. hbr_client_interrupt() alone may be
 * called at any time from any thread, and from a signal handler. The library starts no thread and installs no signal handler. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Errors. */

/* What went wrong. */
struct hbr_error {
    char *
        id; /* one of the API's error ids: "invalid", "not-found", ...; "unavailable" when the daemon cannot be reached,
                      * "interrupted" after hbr_client_interrupt() or a connection that broke, "timeout" when no answer came in time */
    char *message; /* one sentence or more, for people */
    char
        *pointer; /* JSON pointer (RFC 6901) to the culprit in the body that was sent; NULL where that does not apply */
    int http_status; /* 0 when no answer came */
    int exit_status; /* what a command line tool should exit with: 1 to 63, one for each id */
};

/* clang-format off */
#define HBR_ERROR_INIT { NULL, NULL, NULL, 0, 0 }
/* clang-format on */

/* Frees what the struct holds and leaves it as HBR_ERROR_INIT does. NULL is accepted. */
void hbr_error_clear(struct hbr_error *error);

/* Frees a string that this library returned. NULL is accepted. */
void hbr_free(void *memory);

/* The connection. */

struct hbr_client;

/* A client of the daemon at `address`: "unix:/path/to/socket", "/path/to/socket", or "http://host:port". NULL: $HARBINGER_URI when that is set and not
 * empty; else, for other users than root, $XDG_RUNTIME_DIR/harbinger/harbinger.sock when there is such a socket; else that of the system's
 * daemon, /run/harbinger/harbinger.sock (under the prefix that Harbinger was built with). Nothing is sent yet; the connection is made by
 * the first call and kept for the next ones. NULL with "invalid" for an address of no known form. Free with hbr_client_free(). */
struct hbr_client *hbr_client_new(const char *address, struct hbr_error *error);

/* Ends the connection. NULL is accepted. */
void hbr_client_free(struct hbr_client *client);

/* The address in use, as given or found. Belongs to the client. */
const char *hbr_client_address(const struct hbr_client *client);

/* How long a call may wait for its answer: 30,000 ms unless said here; 0: for ever. hbr_wait() and hbr_execute() do not count the time that they are
 * meant to wait, nor the run of the program; connecting is always bounded, to 10 s. */
void hbr_client_set_timeout(struct hbr_client *client, int64_t timeout_ms);

/* Makes the call that is running on this client return false with "interrupted", or the next one when none is running. Any thread; async-signal-safe.
 * An execution that is interrupted is cancelled by the daemon, unless its request said "detach". */
void hbr_client_interrupt(struct hbr_client *client);

/* Telling of code that will run. */

/* Sends a notification: {"code":{"function":"name", ...}, "arrival_in_ms":..., ...}. When this returns true the daemon has stored it
 * durably. *ret_json: {"reservation":{...}}. */
bool hbr_notify(struct hbr_client *client, const char *notification_json, char **ret_json, struct hbr_error *error);

/* What would be predicted and decided for a notification; nothing is done or kept. *ret_json: {"reservation":{...}}. */
bool hbr_explain(struct hbr_client *client, const char *notification_json, char **ret_json, struct hbr_error *error);

/* As hbr_get() of a reservation, with the reasons that hbr_explain() gives: what moved the prediction most, and how well such ones held so far. */
bool hbr_explain_reservation(struct hbr_client *client, const char *id, char **ret_json, struct hbr_error *error);

/* Keeps code, 1 byte to 4 MiB of UTF-8 text without NUL, for programs that name it by its digest ("source_sha256"). `tenant` NULL: "default". *ret_json:
 * {"sha256":"...","bytes":N}. What is not used makes room for what is, so that this is no place to store anything. */
bool hbr_code_upload(struct hbr_client *client, const char *tenant, const void *data, size_t length, char **ret_json,
                     struct hbr_error *error);

/* Whether code of that digest is kept for `tenant` (NULL: "default"). *ret_json: {"sha256":"...","bytes":N}. "not-found" when it is not. */
bool hbr_code_get(struct hbr_client *client, const char *tenant, const char *sha256, char **ret_json,
                  struct hbr_error *error);

/* Running code. */

/* Called as things happen, on the thread that called hbr_execute(). Each may be NULL. Each returns true to go on; false ends the call, which
 * then returns false with "cancelled" (and the daemon cancels the execution, unless its request said "detach"). `data` are the bytes of the program
 * as it wrote them, in order within each stream. The client must not be used from within, other than hbr_client_interrupt(). */
struct hbr_exec_callbacks {
    bool (*on_stdout)(const void *data, size_t length, void *user_data);
    bool (*on_stderr)(const void *data, size_t length, void *user_data);

    /* `event` is "queued", "started", "adjusted" or "finished", and whatever later versions add; `json` the whole event, one JSON object. */
    bool (*on_event)(const char *event, const char *json, void *user_data);

    void *user_data;

    /* The program's standard input. With feed_input, what can be read from `input_fd` (blocking or not; not closed) is sent to the program as it
     * arrives, until end of file or until the program ends; "stdin_open" is then set in the request by this library. */
    bool feed_input;
    int input_fd;
};

/* How an execution ended. */
struct hbr_exec_result {
    char *execution_id;
    char *state; /* "finished", "failed" (it never ran, or its VM was lost), "cancelled", "interrupted" */
    char *
        reason; /* "exited", "signalled", "wall-clock-limit", "out-of-memory", "output-limit", "cancelled", "lost", "refused"; NULL when it never ran */
    int status; /* exit status, or number of the signal */
    char *message; /* why it failed; NULL when there is nothing to say */
    char *json;    /* the whole execution object: result, adjustments, timeline, ... */
};

/* clang-format off */
#define HBR_EXEC_RESULT_INIT { NULL, NULL, NULL, 0, NULL, NULL }
/* clang-format on */

/* Frees what the struct holds and leaves it as HBR_EXEC_RESULT_INIT does. NULL is accepted. */
void hbr_exec_result_clear(struct hbr_exec_result *result);

/* What a shell would see as the exit status of this program: its own when it exited; 128 + the signal when it was killed by one;
 * 124 when it ran into its wall-clock limit, 137 when it used up its memory, 130 when it was cancelled, 125 for everything else (it never ran, its VM was
 * lost, it wrote more than it may). */
int hbr_exec_exit_status(const struct hbr_exec_result *result);

/* Runs code: {"code":{"function":"name"}, "program":{"interpreter":"python3","source":"..."}, "reservation_id":..., ...}. Returns when the
 * program has ended. `callbacks` may be NULL. True whenever the execution has an end that the daemon knows, also when the program failed: see *ret_result.
 * False when the request was refused, or the connection broke before the end. */
bool hbr_execute(struct hbr_client *client, const char *request_json, const struct hbr_exec_callbacks *callbacks,
                 struct hbr_exec_result *ret_result, struct hbr_error *error);

/* Sends standard input to an execution that was asked for with "stdin_open", for callers which feed it themselves (on another client than the one that
 * waits in hbr_execute()). At most 1 MiB a call; returns when the program has taken it. `length` may be 0 with `eof`. "conflict" when the program has closed its
 * input or has ended. */
bool hbr_execution_input(struct hbr_client *client, const char *execution_id, const void *data, size_t length, bool eof,
                         struct hbr_error *error);

/* Objects. */

enum hbr_kind { HBR_RESERVATION, HBR_EXECUTION, HBR_INSTANCE, HBR_HOST, HBR_POOL };

/* Which objects are meant. Zero members choose everything. */
struct hbr_filter {
    const char *function;
    const char *tenant;
    const char *state;
    bool all;       /* finished ones too */
    unsigned limit; /* at most so many, the newest; 0: the daemon's default */
};

/* *ret_json: {"reservations":[...]}, newest first; accordingly for the other kinds. `filter` may be NULL, and must be for pools. */
bool hbr_list(struct hbr_client *client, enum hbr_kind kind, const struct hbr_filter *filter, char **ret_json,
              struct hbr_error *error);

/* *ret_json: the object itself. Hosts are known by name, everything else by id; a pool's is "NAME@HOST". "not-found" when there is none. */
bool hbr_get(struct hbr_client *client, enum hbr_kind kind, const char *id, char **ret_json, struct hbr_error *error);

/* As hbr_get(), once the object is in `state` or in a final one, whichever comes first; `state` NULL: in a final one. "timeout" after `timeout_ms`
 * (0: no limit). */
bool hbr_wait(struct hbr_client *client, enum hbr_kind kind, const char *id, const char *state, int64_t timeout_ms,
              char **ret_json, struct hbr_error *error);

/* Called for each thing that happens, on the thread that called hbr_watch(). `event` is "watching" (the first), "timeline", "adjustment" or "end"
 * (the daemon stops), and whatever later versions add; `json` the whole event, one JSON object: what it is of ("object", "id"), and under the name
 * of the event what happened. Returns true to go on. */
typedef bool (*hbr_watch_callback)(const char *event, const char *json, void *user_data);

/* Tells what happens from now on, until the callback ends it, or the daemon does: then true. False with "interrupted" after
 * hbr_client_interrupt(), or when the connection breaks; a client that takes too little of it is cut off. `object`: "reservation", "execution",
 * "instance" or "host"; NULL: all. `id`: of one of them; NULL: all. */
bool hbr_watch(struct hbr_client *client, const char *object, const char *id, hbr_watch_callback callback,
               void *user_data, struct hbr_error *error);

/* Cancels a reservation or an execution, destroys an instance, detaches a host. *ret_json: the object as it stands then. "conflict" when
 * its state forbids it. */
bool hbr_delete(struct hbr_client *client, enum hbr_kind kind, const char *id, char **ret_json,
                struct hbr_error *error);

/* Attaches a host: {"name":"a","uri":"qemu:///system", ...}. *ret_json: the host. */
bool hbr_host_attach(struct hbr_client *client, const char *host_json, char **ret_json, struct hbr_error *error);

/* Sets how many instances a pool keeps at least, in place of the policy's, until the policy changes or the daemon is restarted:
 * {"running":2,"paused":1,"saved":1}, of which any may be left out and stays as it is; or {"reset":true}, back to the policy's. *ret_json: the pool. */
bool hbr_pool_set(struct hbr_client *client, const char *id, const char *setting_json, char **ret_json,
                  struct hbr_error *error);

/* With `drain`, takes the warm instances of a pool away and makes none any more; without, lets it fill again. *ret_json: the pool. */
bool hbr_pool_drain(struct hbr_client *client, const char *id, bool drain, char **ret_json, struct hbr_error *error);

/* Gives a running instance another shape, and waits until its guest has confirmed it. `shape_json`: any of {"vcpus", "memory_mib", "network_mbps",
 * "disk_mbps", "cpu_percent", "gpus"}; what is left out stays. *ret_json: the instance. "conflict" when its guest does not consent to have less,
 * "exhausted" when the host has no room or no free GPU for more. */
bool hbr_instance_shape(struct hbr_client *client, const char *id, const char *shape_json, char **ret_json,
                        struct hbr_error *error);

/* What was learned: {"history":[...]}, newest first. Of `filter` (NULL: everything) function, tenant and limit are used. */
bool hbr_history(struct hbr_client *client, const struct hbr_filter *filter, char **ret_json, struct hbr_error *error);

/* Which runs predictions are compared with. Zero members choose everything. */
struct hbr_accuracy_query {
    const char *by; /* how runs are put together: "function" (also NULL), "tenant", "language" or "model" */
    const char *function;
    const char *tenant;
    const char *language;
    const char *since; /* that ended since this time, RFC 3339 */
    unsigned limit;    /* at most so many, the newest; 0: the daemon's default */
};

/* How good predictions were: error, coverage, waste and shortage. *ret_json: {"by":"...", "limit":N, "total":{...}, "groups":[...]}. `query` may be NULL. */
bool hbr_accuracy(struct hbr_client *client, const struct hbr_accuracy_query *query, char **ret_json,
                  struct hbr_error *error);

/* The runs themselves, for a picture. *ret_json: {"limit":N, "points":[...]}, newest first, at most 2000. `query` may be NULL; its `by` is not used. */
bool hbr_accuracy_points(struct hbr_client *client, const struct hbr_accuracy_query *query, char **ret_json,
                         struct hbr_error *error);

/* Policy. */

/* One policy file, as text. */
struct hbr_policy_file {
    const char *name; /* for messages: "low.yaml" */
    const char *text;
};

/* Checks a policy made of `count` files without loading it. *ret_json: {"valid":true}. "invalid" with "file:line: ..." in the message. */
bool hbr_policy_check(struct hbr_client *client, const struct hbr_policy_file *files, size_t count, char **ret_json,
                      struct hbr_error *error);

/* Makes them the current policy, as a new version. *ret_json: {"version":N}. */
bool hbr_policy_load(struct hbr_client *client, const struct hbr_policy_file *files, size_t count, char **ret_json,
                     struct hbr_error *error);

/* *ret_json: {"policies":[{"version":N, ...}...]}, newest first. */
bool hbr_policy_list(struct hbr_client *client, char **ret_json, struct hbr_error *error);

/* *ret_json: {"version":N, "files":[{"name","text"}...], "policy":{...}}. `version`: a number as text, or NULL for the current one. */
bool hbr_policy_get(struct hbr_client *client, const char *version, char **ret_json, struct hbr_error *error);

/* *ret_json: {"profiles":[...], "classes":[...]} of the current policy. */
bool hbr_profile_list(struct hbr_client *client, char **ret_json, struct hbr_error *error);

/* Models: what is learned from the runs of all functions. A version is a number as text. */

/* *ret_json: {"models":[{"version":N, "state":"serving", ...}...]}, newest first. */
bool hbr_model_list(struct hbr_client *client, char **ret_json, struct hbr_error *error);

/* *ret_json: the model, with its scores. "not-found" when there is none of that version. */
bool hbr_model_get(struct hbr_client *client, const char *version, char **ret_json, struct hbr_error *error);

/* Begins a training. *ret_json: {"version":N}, what comes of it. With `wait`, returns at its end, whatever the client's timeout is, and *ret_json is the model, which
 * serves or was refused. "conflict" when there are too few runs to learn from, "cancelled" when another version was asked to serve meanwhile. */
bool hbr_model_train(struct hbr_client *client, bool wait, char **ret_json, struct hbr_error *error);

/* That version serves from now on, and is held: no training replaces it by itself until one is asked for. `version` NULL: the newest that ever
 * served, which is not held. *ret_json: the model. */
bool hbr_model_serve(struct hbr_client *client, const char *version, char **ret_json, struct hbr_error *error);

/* *ret_data: the content of its file, of *ret_length bytes; free with hbr_free(). */
bool hbr_model_export(struct hbr_client *client, const char *version, void **ret_data, size_t *ret_length,
                      struct hbr_error *error);

/* Makes what was exported, at most 64 MiB, a version of its own; with `serve` it serves from now on, and is held. *ret_json: the model. "invalid" says what is wrong
 * with a damaged one. */
bool hbr_model_import(struct hbr_client *client, const void *data, size_t length, bool serve, char **ret_json,
                      struct hbr_error *error);

/* The daemon. */

/* Version of this library: "0.1.0". Static string. */
const char *hbr_library_version(void);

/* *ret_json: {"version":"0.1.0","api":"v1"} of the daemon. */
bool hbr_version(struct hbr_client *client, char **ret_json, struct hbr_error *error);

/* True when the daemon is ready to take work: a host is up. Else "unavailable". */
bool hbr_ready(struct hbr_client *client, struct hbr_error *error);

/* *ret_text: the daemon's metrics in the text form of Prometheus. */
bool hbr_metrics(struct hbr_client *client, char **ret_text, struct hbr_error *error);

/* Anything else that the API can do. */

struct hbr_response {
    int status;         /* below 400 */
    char *content_type; /* NULL when there is none */
    char *location;     /* of what was made; NULL when there is none */
    char *body;         /* ends with a NUL that `length` does not count; never NULL */
    size_t length;
};

/* clang-format off */
#define HBR_RESPONSE_INIT { 0, NULL, NULL, NULL, 0 }
/* clang-format on */

/* Frees what the struct holds and leaves it as HBR_RESPONSE_INIT does. NULL is accepted. */
void hbr_response_clear(struct hbr_response *response);

/* One request: `path` with its query ("/v1/hosts?all=true"), a method ("GET", "POST", "PUT", "DELETE"). `body` may be NULL; `content_type` NULL means
 * "application/json". False for statuses from 400 on. The answer is kept in memory as a whole, at most 256 MiB. */
bool hbr_request(struct hbr_client *client, const char *method, const char *path, const char *content_type,
                 const void *body, size_t length, struct hbr_response *ret_response, struct hbr_error *error);

/* `text` percent-encoded (RFC 3986) for use in a path or a query. Free with hbr_free(). */
char *hbr_escape(const char *text);

#ifdef __cplusplus
}
#endif
