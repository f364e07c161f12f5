/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/workers.h"

#include "base/error.h"
#include "base/mailbox.h"

struct worker {
    gint references; /* the pool's and its thread's */
    struct mailbox *jobs;
    struct inbox *inbox;
    GThread *thread;
};

struct task {
    struct job job;
    struct workers *workers;
    struct worker *worker; /* who runs it */
    GSource *deadline;
    gboolean is_expired;
    GError *error;
};

struct workers {
    gpointer owner;
    struct inbox *inbox;
    GMainContext *context;
    guint *limits, *running;
    guint lane_count;
    GQueue *waiting;    /* of struct task, one queue for each lane */
    GHashTable *keys;   /* of running tasks; owned by the tasks */
    GHashTable *active; /* struct task, expired ones too */
    GQueue idle;        /* struct worker */
    guint lost;
};

static void worker_unref(struct worker *worker)
{
    if (!g_atomic_int_dec_and_test(&worker->references))
        return;
    mailbox_free(worker->jobs);
    inbox_unref(worker->inbox);
    g_free(worker);
}

static void task_free(gpointer data)
{
    struct task *task = data;
    if (task->job.call_free != NULL && task->job.call != NULL)
        task->job.call_free(task->job.call);
    if (task->job.context_free != NULL && task->job.context != NULL)
        task->job.context_free(task->job.context);
    g_free(task->job.key);
    g_clear_error(&task->error);
    g_free(task);
}

static void workers_on_returned(gpointer owner, gpointer data);

static gpointer worker_run(gpointer data)
{
    struct worker *worker = data;
    for (struct task *task; (task = mailbox_take(worker->jobs, -1)) != NULL;) {
        if (!task->job.run(task->job.call, &task->error) && task->error == NULL)
            task->error = hbr_error_new(HBR_ERROR_INTERNAL, "a call failed without saying why");
        inbox_post(worker->inbox, workers_on_returned, task, task_free);
    }
    worker_unref(worker);
    return NULL;
}

static struct worker *worker_new(struct inbox *inbox)
{
    struct worker *worker = g_new0(struct worker, 1);
    worker->references = 2;
    worker->jobs = mailbox_new(NULL);
    worker->inbox = inbox_ref(inbox);
    worker->thread = g_thread_new("host-worker", worker_run, worker);
    return worker;
}

/* Lets it go when it comes back from what it does. */
static void worker_dismiss(struct worker *worker)
{
    mailbox_close(worker->jobs);
    g_thread_unref(worker->thread);
    worker_unref(worker);
}

struct workers *workers_new(gpointer owner, struct inbox *inbox, GMainContext *context, const guint *lane_limits,
                            guint lane_count)
{
    struct workers *workers = g_new0(struct workers, 1);
    workers->owner = owner;
    workers->inbox = inbox_ref(inbox);
    workers->context = g_main_context_ref(context);
    workers->limits = g_memdup2(lane_limits, lane_count * sizeof *lane_limits);
    workers->running = g_new0(guint, lane_count);
    workers->lane_count = lane_count;
    workers->waiting = g_new0(GQueue, lane_count);
    workers->keys = g_hash_table_new(g_str_hash, g_str_equal);
    workers->active = g_hash_table_new(NULL, NULL);
    return workers;
}

static void task_disarm(struct task *task)
{
    if (task->deadline == NULL)
        return;
    g_source_destroy(task->deadline);
    g_clear_pointer(&task->deadline, g_source_unref);
}

void workers_free(struct workers *workers)
{
    if (workers == NULL)
        return;
    for (guint i = 0; i < workers->lane_count; i++)
        g_queue_clear_full(&workers->waiting[i], task_free);
    for (struct worker *worker; (worker = g_queue_pop_head(&workers->idle)) != NULL;) {
        mailbox_close(worker->jobs);
        g_thread_join(worker->thread);
        worker_unref(worker);
    }
    GHashTableIter iter;
    gpointer key;
    g_hash_table_iter_init(&iter, workers->active);
    while (g_hash_table_iter_next(&iter, &key, NULL)) {
        struct task *task = key;
        task_disarm(task);
        worker_dismiss(task->worker);
    }
    g_hash_table_unref(workers->active);
    g_hash_table_unref(workers->keys);
    g_free(workers->waiting);
    g_free(workers->limits);
    g_free(workers->running);
    g_main_context_unref(workers->context);
    inbox_unref(workers->inbox);
    g_free(workers);
}

/* Its place in the lane and its key are free again. */
static void workers_release(struct workers *workers, struct task *task)
{
    task_disarm(task);
    workers->running[task->job.lane]--;
    if (task->job.key != NULL)
        g_hash_table_remove(workers->keys, task->job.key);
}

static void workers_start_waiting(struct workers *workers);

static gboolean workers_on_deadline(gpointer data)
{
    struct task *task = data;
    struct workers *workers = task->workers;
    workers_release(workers, task);
    task->is_expired = TRUE;
    workers->lost++;
    g_autoptr(GError) error =
        hbr_error_new(HBR_ERROR_TIMEOUT, "libvirt did not answer within %" G_GINT64_FORMAT " ms", task->job.timeout_ms);
    task->job.done(workers->owner, task->job.context, NULL, error);
    workers_start_waiting(workers);
    return G_SOURCE_REMOVE;
}

static void workers_start(struct workers *workers, struct task *task)
{
    struct worker *worker = g_queue_pop_head(&workers->idle);
    task->worker = worker != NULL ? worker : worker_new(workers->inbox);
    task->deadline = g_timeout_source_new((guint)task->job.timeout_ms);
    g_source_set_callback(task->deadline, workers_on_deadline, task, NULL);
    g_source_attach(task->deadline, workers->context);
    workers->running[task->job.lane]++;
    if (task->job.key != NULL)
        g_hash_table_add(workers->keys, task->job.key);
    g_hash_table_add(workers->active, task);
    mailbox_post(task->worker->jobs, task);
}

/* The oldest of a lane whose key no running job has. */
static struct task *workers_next(struct workers *workers, guint lane)
{
    GQueue *waiting = &workers->waiting[lane];
    for (GList *link = waiting->head; link != NULL; link = link->next) {
        struct task *task = link->data;
        if (task->job.key != NULL && g_hash_table_contains(workers->keys, task->job.key))
            continue;
        g_queue_delete_link(waiting, link);
        return task;
    }
    return NULL;
}

static void workers_start_waiting(struct workers *workers)
{
    for (guint lane = 0; lane < workers->lane_count; lane++) {
        while (workers->running[lane] < workers->limits[lane]) {
            struct task *task = workers_next(workers, lane);
            if (task == NULL)
                break;
            workers_start(workers, task);
        }
    }
}

static void workers_on_returned(gpointer owner, gpointer data)
{
    struct task *task = data;
    struct workers *workers = task->workers;
    g_hash_table_remove(workers->active, task);
    if (task->is_expired) {
        workers->lost--;
        worker_dismiss(task->worker);
        task_free(task);
        return;
    }
    workers_release(workers, task);
    g_queue_push_head(&workers->idle, task->worker);
    task->job.done(owner, task->job.context, task->job.call, task->error);
    task_free(task);
    workers_start_waiting(workers);
}

void workers_submit(struct workers *workers, const struct job *job)
{
    struct task *task = g_new0(struct task, 1);
    task->job = *job;
    task->workers = workers;
    g_queue_push_tail(&workers->waiting[job->lane], task);
    workers_start_waiting(workers);
}

guint workers_lost(const struct workers *workers)
{
    return workers->lost;
}

void workers_drop_waiting(struct workers *workers)
{
    g_autoptr(GError) error = hbr_error_new(HBR_ERROR_UNAVAILABLE, "the connection to libvirt is lost");
    GQueue dropped = G_QUEUE_INIT;
    for (guint lane = 0; lane < workers->lane_count; lane++) {
        for (struct task *task; (task = g_queue_pop_head(&workers->waiting[lane])) != NULL;)
            g_queue_push_tail(&dropped, task);
    }
    for (struct task *task; (task = g_queue_pop_head(&dropped)) != NULL;) {
        task->job.done(workers->owner, task->job.context, task->job.call, error);
        task_free(task);
    }
}
