/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/libvirt-link.h"

#include "base/error.h"
#include "base/log.h"
#include "host/libvirt-error.h"

#include <errno.h>
#include <libvirt/virterror.h>
#include <pthread.h>
#include <time.h>

#define KEEPALIVE_SECONDS 2
#define KEEPALIVE_COUNT 3

/* What libvirt holds for its call-backs; lives until libvirt has let go of all of them. */
struct link_events {
    gint references;
    guint generation;
    struct link_watch watch;
    struct inbox *inbox;
};

static struct link_events *link_events_ref(struct link_events *events)
{
    g_atomic_int_inc(&events->references);
    return events;
}

static void link_events_unref(void *data)
{
    struct link_events *events = data;
    if (!g_atomic_int_dec_and_test(&events->references))
        return;
    inbox_unref(events->inbox);
    g_free(events);
}

void link_event_free(gpointer data)
{
    struct link_event *event = data;
    g_free(event->uuid);
    g_free(event->text);
    g_free(event);
}

static struct link_event *link_event_new(const struct link_events *events, virDomainPtr domain)
{
    struct link_event *event = g_new0(struct link_event, 1);
    char uuid[VIR_UUID_STRING_BUFLEN];
    event->generation = events->generation;
    if (domain != NULL && virDomainGetUUIDString(domain, uuid) == 0)
        event->uuid = g_strdup(uuid);
    return event;
}

static void on_close(virConnectPtr connection, int reason, void *data)
{
    struct link_events *events = data;
    struct link_event *event = link_event_new(events, NULL);
    (void)connection;
    event->event = reason;
    inbox_post(events->inbox, events->watch.closed, event, link_event_free);
}

static int on_lifecycle(virConnectPtr connection, virDomainPtr domain, int what, int detail, void *data)
{
    struct link_events *events = data;
    (void)connection;
    if (what != VIR_DOMAIN_EVENT_STOPPED)
        return 0;
    struct link_event *event = link_event_new(events, domain);
    event->event = what;
    event->detail = detail;
    inbox_post(events->inbox, events->watch.lifecycle, event, link_event_free);
    return 0;
}

static void on_agent(virConnectPtr connection, virDomainPtr domain, int state, int reason, void *data)
{
    struct link_events *events = data;
    struct link_event *event = link_event_new(events, domain);
    (void)connection;
    event->event = state;
    event->detail = reason;
    inbox_post(events->inbox, events->watch.agent, event, link_event_free);
}

static void on_memory(virConnectPtr connection, virDomainPtr domain, const char *alias, unsigned long long size,
                      void *data)
{
    struct link_events *events = data;
    struct link_event *event = link_event_new(events, domain);
    (void)connection;
    event->text = g_strdup(alias);
    event->size_kib = size;
    inbox_post(events->inbox, events->watch.memory, event, link_event_free);
}

static void on_device_removed(virConnectPtr connection, virDomainPtr domain, const char *alias, void *data)
{
    struct link_events *events = data;
    struct link_event *event = link_event_new(events, domain);
    (void)connection;
    event->text = g_strdup(alias);
    inbox_post(events->inbox, events->watch.device_removed, event, link_event_free);
}

static gboolean link_register(struct link *link, GError **error)
{
    const struct {
        int id;
        virConnectDomainEventGenericCallback callback;
    } wanted[G_N_ELEMENTS(link->callbacks)] = {
        {VIR_DOMAIN_EVENT_ID_LIFECYCLE, VIR_DOMAIN_EVENT_CALLBACK(on_lifecycle)},
        {VIR_DOMAIN_EVENT_ID_AGENT_LIFECYCLE, VIR_DOMAIN_EVENT_CALLBACK(on_agent)},
        {VIR_DOMAIN_EVENT_ID_MEMORY_DEVICE_SIZE_CHANGE, VIR_DOMAIN_EVENT_CALLBACK(on_memory)},
        {VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED, VIR_DOMAIN_EVENT_CALLBACK(on_device_removed)},
    };
    virConnectPtr connection = link->connections[LINK_CONTROL];
    for (gsize i = 0; i < G_N_ELEMENTS(wanted); i++) {
        link->callbacks[i] = virConnectDomainEventRegisterAny(connection, NULL, wanted[i].id, wanted[i].callback,
                                                              link_events_ref(link->events), link_events_unref);
        if (link->callbacks[i] >= 0)
            continue;
        libvirt_fail(error, "register for events");
        link_events_unref(link->events);
        return FALSE;
    }
    return TRUE;
}

static gboolean link_open_one(struct link *link, enum link_lane lane, const char *uri, GError **error)
{
    virConnectPtr connection = virConnectOpen(uri);
    if (connection == NULL) {
        g_autofree char *what = g_strdup_printf("connect to %s", uri);
        return libvirt_fail(error, what);
    }
    link->connections[lane] = connection;
    if (virConnectSetKeepAlive(connection, KEEPALIVE_SECONDS, KEEPALIVE_COUNT) < 0)
        log_debug("host", "%s has no keepalive: %s", uri, virGetLastErrorMessage());
    if (virConnectRegisterCloseCallback(connection, on_close, link_events_ref(link->events), link_events_unref) == 0)
        return TRUE;
    libvirt_fail(error, "register for the end of the connection");
    link_events_unref(link->events);
    return FALSE;
}

static gboolean link_ask(struct link *link, GError **error)
{
    virConnectPtr connection = link->connections[LINK_CONTROL];
    virNodeInfo node;
    if (virNodeGetInfo(connection, &node) < 0)
        return libvirt_fail(error, "ask what the host has");
    if (virConnectGetLibVersion(connection, &link->facts.libvirt_version) < 0)
        return libvirt_fail(error, "ask libvirt's version");
    if (virConnectGetVersion(connection, &link->facts.qemu_version) < 0)
        link->facts.qemu_version = 0;
    link->facts.cpus = node.cpus;
    link->facts.memory_mib = (guint)(node.memory / 1024);
    return TRUE;
}

struct link *link_open(const char *uri, guint generation, const struct link_watch *watch, struct inbox *inbox,
                       GError **error)
{
    struct link *link = g_new0(struct link, 1);
    link->references = 1;
    link->generation = generation;
    link->events = g_new0(struct link_events, 1);
    *link->events =
        (struct link_events){.references = 1, .generation = generation, .watch = *watch, .inbox = inbox_ref(inbox)};
    for (gsize i = 0; i < G_N_ELEMENTS(link->callbacks); i++)
        link->callbacks[i] = -1;
    libvirt_init();
    gboolean is_open = TRUE;
    for (guint lane = 0; lane < LINK_LANES && is_open; lane++)
        is_open = link_open_one(link, lane, uri, error);
    if (is_open && link_register(link, error) && link_ask(link, error))
        return link;
    link_unref(link);
    return NULL;
}

struct link *link_ref(struct link *link)
{
    g_atomic_int_inc(&link->references);
    return link;
}

/* Links that are being closed, by threads of their own because a hung host may never let them. */
static pthread_mutex_t closing_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t closing_changed = PTHREAD_COND_INITIALIZER;
static guint closing_count;

static void closing_count_add(int change)
{
    pthread_mutex_lock(&closing_lock);
    closing_count += (guint)change;
    pthread_cond_broadcast(&closing_changed);
    pthread_mutex_unlock(&closing_lock);
}

gboolean link_wait_closed(gint64 timeout_ms)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += timeout_ms / 1000;
    pthread_mutex_lock(&closing_lock);
    while (closing_count > 0)
        if (pthread_cond_timedwait(&closing_changed, &closing_lock, &until) == ETIMEDOUT)
            break;
    const gboolean is_closed = closing_count == 0;
    pthread_mutex_unlock(&closing_lock);
    return is_closed;
}

static gpointer link_close(gpointer data)
{
    struct link *link = data;
    for (gsize i = 0; i < G_N_ELEMENTS(link->callbacks); i++) {
        if (link->callbacks[i] >= 0)
            virConnectDomainEventDeregisterAny(link->connections[LINK_CONTROL], link->callbacks[i]);
    }
    for (guint lane = 0; lane < LINK_LANES; lane++) {
        if (link->connections[lane] == NULL)
            continue;
        virConnectUnregisterCloseCallback(link->connections[lane], on_close);
        virConnectClose(link->connections[lane]);
    }
    link_events_unref(link->events);
    g_free(link);
    closing_count_add(-1);
    return NULL;
}

void link_unref(gpointer data)
{
    struct link *link = data;
    if (link == NULL || !g_atomic_int_dec_and_test(&link->references))
        return;
    closing_count_add(1);
    g_thread_unref(g_thread_new("libvirt-close", link_close, link));
}

virDomainPtr link_find(const struct link *link, enum link_lane lane, const char *uuid, GError **error)
{
    virDomainPtr domain = virDomainLookupByUUIDString(link->connections[lane], uuid);
    if (domain == NULL)
        libvirt_fail(error, "look the domain up");
    return domain;
}
