/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/core.h"

/* A core with nothing around it: commands are collected, the test answers them by hand, time is what it says. The store commits at once
 * unless it is told to wait. */

struct world {
    struct core *core;
    GPtrArray *commands; /* struct command, oldest first, without COMMAND_PERSIST */
    GPtrArray *records;  /* struct record of all commits, newest last */
    GPtrArray *persists; /* struct command: COMMAND_PERSIST not answered yet */
    gboolean holds_commits, fails_commits;
    gint64 now;
    guint64 request;
    struct policy *policy;
};

/* Set before world_new(): core_settings.stopwatch. */
extern gint64 (*world_stopwatch)(void);

struct world *world_new(const char *policy_file);

/* Takes the policy. */
struct world *world_new_of(struct policy *policy);
void world_free(struct world *world);

/* Handles the event and everything that follows from commits. */
void world_event(struct world *world, struct event *event);

/* Lets the time pass, waking the core whenever it asks. */
void world_pass(struct world *world, gint64 ms);

void world_add_host(struct world *world, const char *name, guint cpus, guint memory_mib);

/* Returns the request number. */
guint64 world_notify(struct world *world, const char *json);
guint64 world_execute(struct world *world, const char *json);
guint64 world_get(struct world *world, const char *reservation_id);

/* All at the same time. The requests are numbered on from the one returned. */
guint64 world_notify_together(struct world *world, const char *const *json, guint count);

/* The oldest command of the kind not taken yet, for `request` unless 0, or NULL. Taken commands belong to the world. */
struct command *world_take(struct world *world, enum command_kind kind, guint64 request);

/* As world_take; fails the test when there is none. */
struct command *world_expect(struct world *world, enum command_kind kind, guint64 request);

/* An answer of a host for an instance. */
struct event *world_answer(enum event_kind kind, const struct command *to);

/* Boots whatever COMMAND_BOOT is waiting: EVENT_INSTANCE_READY with its shape. Returns the instance's id (owned by the world). */
const char *world_boot(struct world *world);

/* Member `name` of the JSON body; free with g_free. */
char *world_body_string(const struct command *command, const char *path);

/* EVENT_QUERY of one object, or of all of the kind when `id` is NULL; its request is world->request. */
struct event *world_query(struct world *world, const char *object, const char *id);

/* EVENT_POLICY_LOAD of a shipped file. */
struct event *world_load_policy(struct world *world, const char *file);
