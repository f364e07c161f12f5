/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/mailbox.h"
#include "host/hypervisor.h"

#include <stdio.h>

/* Drives one hypervisor as the core would: commands in, events out, and waits for events by kind. Output is credited as it comes, unless
 * told otherwise. One thread. */

#define DRIVE_BOOT_MS 60000

struct drive {
    struct hypervisor *hypervisor;
    struct mailbox *events;
    GPtrArray *seen; /* struct event that nobody waited for yet, oldest first */
    char *name, *state_dir;
    struct event *up; /* EVENT_HOST_UP */
    guint64 serial;
    gboolean keeps_credit;
    gint64 confirm_ms; /* that a guest has to confirm a change in; 0: as many as usual */
};

/* Set before drive_new(): agents are reached through libvirt's streams. */
extern gboolean drive_uses_streams;

/* Likewise: an agent is given up after so long a silence; 0: as usual. */
extern gint64 drive_silence_ms;

/* Likewise: the host's list of GPUs; NULL: none. */
extern char **drive_gpus;

/* Connects to $HBR_LIBVIRT_URI, with the templates of $HBR_TEMPLATES or the shipped ones; `state_dir` may be NULL: a new one. The images are those of $HARBINGER_IMAGES or $HBR_BUILD_DIR/images. NULL when the host does not come up. */
struct drive *drive_new(const char *network, const char *owner, enum acceleration acceleration, const char *state_dir);
void drive_free(struct drive *drive);

/* The next event of that kind and instance (NULL: any), taken from those seen or waited for. NULL after `timeout_ms`, or at once
 * when the instance has failed or gone instead. Free with event_free. */
struct event *drive_wait(struct drive *drive, enum event_kind kind, const char *id, gint64 timeout_ms);

/* Forgets what was seen of that kind. */
void drive_forget(struct drive *drive, enum event_kind kind);

void drive_boot(struct drive *drive, const char *id, const char *template, const struct vm_shape *shape,
                const struct vm_shape *maximum, gint64 timeout_ms);

/* drive_boot, and waits until it is ready. */
gboolean drive_start(struct drive *drive, const char *id, const char *template, const struct vm_shape *shape,
                     const struct vm_shape *maximum);

/* The same with any spec, which is taken; what it lacks is filled in. */
void drive_boot_spec(struct drive *drive, enum command_kind kind, struct boot_spec *boot);

/* A spec to start from: small, and without a reservation. */
struct boot_spec *drive_spec(const char *id, const struct vm_shape *shape, const struct vm_shape *maximum);
guint64 drive_shape(struct drive *drive, const char *id, const struct vm_shape *shape);
void drive_run(struct drive *drive, const char *id, const char *execution_id, const char *interpreter,
               const char *source);
void drive_run_spec(struct drive *drive, const char *id, struct run_spec *run);
/* Stages it, and waits for the answer: what went wrong, or NULL. */
GError *drive_stage(struct drive *drive, const char *id, struct run_spec *run, gint64 timeout_ms);
void drive_stdin(struct drive *drive, const char *id, const char *execution_id, const char *text, gboolean eof);
void drive_cancel(struct drive *drive, const char *id, const char *execution_id);
void drive_send(struct drive *drive, enum command_kind kind, const char *id);
gboolean drive_destroy(struct drive *drive, const char *id);

/* Everything that an execution printed on stdout, and how it ended; NULL when it did not within the time. Free with
 * run_result_free. */
struct run_result *drive_collect(struct drive *drive, const char *execution_id, GString *output, gint64 timeout_ms);

/* What a case does not find as it should be ends it. */
#define REQUIRE(condition)                                             \
    do {                                                               \
        if (!(condition)) {                                            \
            printf("    line %d: not so: %s\n", __LINE__, #condition); \
            return FALSE;                                              \
        }                                                              \
    } while (0)

struct drive_case {
    const char *name;
    gboolean (*run)(void);
};

/* Runs the cases in order, or those alone that the arguments name; some need what earlier ones leave. A case may put another drive in the
 * place of `*drive`, or NULL, with which it ends. Returns the exit status. */
int drive_run_cases(const struct drive_case *cases, gsize count, struct drive **drive, int argc, char **argv);
