/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/error.h"
#include "base/log.h"
#include "host/file-copy.h"
#include "host/libvirt-calls.h"
#include "host/libvirt-error.h"
#include "host/save-image.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <unistd.h>

/* Writing saved states. */

#define SQUEEZE_LEFT_KIB (8 * 1024) /* that the guest keeps free meanwhile */
#define SQUEEZE_LOOK_MS 20
#define SQUEEZE_LOOKS 150 /* in all */
#define SQUEEZE_IDLE 10   /* without a change */

/* What a clone is made by is tried at once, so that nobody counts on a state that no clone can be made of. */
static gboolean rehearse(int fd, const char *path, gboolean has_disk, GError **error)
{
    static char id[] = "rehearsal", uuid[] = "00000000-0000-4000-8000-000000000000", owner[] = "nobody";
    const struct boot_spec boot = {.instance_id = id, .uuid = uuid, .owner = owner};
    const struct domain_plan plan = {.boot = &boot, .disk_path = has_disk ? "/rehearsal" : NULL};
    g_autoptr(GBytes) head = saved_read_head(fd, path, error);
    struct save_image image;
    gsize size;
    const guint8 *data = head == NULL ? NULL : g_bytes_get_data(head, &size);
    if (data == NULL || !save_image_parse(data, size, &image, error))
        return FALSE;
    g_autofree char *xml = domain_clone_xml(image.xml, &plan, error);
    g_autoptr(GBytes) other = xml == NULL ? NULL : save_image_build(&image, xml, error);
    return other != NULL;
}

static gboolean saved_check(const char *path, gboolean has_disk, GError **error)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        hbr_error_set(error, errno == EACCES ? HBR_ERROR_UNSUPPORTED : HBR_ERROR_HYPERVISOR,
                      "the saved state %s, which libvirt wrote, cannot be read: %s", path, g_strerror(errno));
        return FALSE;
    }
    const gboolean is_known = rehearse(fd, path, has_disk, error);
    close(fd);
    return is_known;
}

struct squeeze {
    guint64 actual_kib, unused_kib; /* 0: not known */
};

static struct squeeze squeeze_look(virDomainPtr domain)
{
    virDomainMemoryStatStruct stats[VIR_DOMAIN_MEMORY_STAT_NR];
    struct squeeze now = {0};
    const int count = virDomainMemoryStats(domain, stats, G_N_ELEMENTS(stats), 0);
    for (int i = 0; i < count; i++) {
        if (stats[i].tag == VIR_DOMAIN_MEMORY_STAT_ACTUAL_BALLOON)
            now.actual_kib = stats[i].val;
        if (stats[i].tag == VIR_DOMAIN_MEMORY_STAT_UNUSED)
            now.unused_kib = stats[i].val;
    }
    return now;
}

/* Moves the balloon, and waits until it is there or comes no further. */
static void squeeze_to(virDomainPtr domain, guint64 target_kib)
{
    guint64 before = 0;
    guint idle = 0;
    if (virDomainSetMemoryFlags(domain, target_kib, VIR_DOMAIN_AFFECT_LIVE) < 0)
        return;
    for (guint i = 0; i < SQUEEZE_LOOKS && idle < SQUEEZE_IDLE; i++) {
        const guint64 actual = squeeze_look(domain).actual_kib;
        if (actual == target_kib)
            return;
        idle = actual == before ? idle + 1 : 0;
        before = actual;
        g_poll(NULL, 0, SQUEEZE_LOOK_MS);
    }
}

/* The file, and with it the time that each clone takes, grows with what the guest has ever touched, and its boot has touched most of its
 * memory: what is free now goes back to the host by way of the balloon. Nothing depends on it. */
static void squeeze(virDomainPtr domain)
{
    const struct squeeze now = squeeze_look(domain);
    if (now.unused_kib <= SQUEEZE_LEFT_KIB || now.actual_kib == 0)
        return;
    const guint64 spare = MIN(now.unused_kib - SQUEEZE_LEFT_KIB, now.actual_kib / 4 * 3);
    squeeze_to(domain, now.actual_kib - spare);
    squeeze_to(domain, now.actual_kib);
    log_debug("host", "%s: %" G_GUINT64_FORMAT " KiB were asked back before it is saved", virDomainGetName(domain),
              spare);
}

static gboolean save_domain(const struct save_call *call, const char *path, GError **error)
{
    g_autoptr(virDomain) domain = link_find(call->link, LINK_SLOW, call->uuid, error);
    if (domain == NULL)
        return FALSE;
    g_unlink(path);
    if (call->is_running)
        squeeze(domain);
    return virDomainSaveFlags(domain, path, NULL, VIR_DOMAIN_SAVE_RUNNING) == 0 ||
           libvirt_fail(error, "save the state of the domain");
}

/* Its disk is nobody's any more. */
static gboolean save_disk(const struct save_call *call, const char *from, GError **error)
{
    g_autofree char *to = saved_path(call->saved_dir, call->state->id, ".disk.part");
    return g_rename(from, to) == 0 || file_copy_sparse(from, to, error);
}

/* What the instance was made of has to be what the next one would be made of: clones pass for that. */
static gboolean save_take_fingerprint(struct save_call *call, GError **error)
{
    g_free(call->state->fingerprint);
    call->state->fingerprint = saved_fingerprint(&call->origin, call->state->template, error);
    if (call->state->fingerprint == NULL)
        return FALSE;
    if (g_strcmp0(call->fingerprint, call->state->fingerprint) == 0)
        return TRUE;
    hbr_error_set(error, HBR_ERROR_CONFLICT, "%s: %s", call->instance_id,
                  call->fingerprint != NULL ? "its template or images have changed since it was started"
                                            : "it was started by another run of harbingerd: of what is not known");
    return FALSE;
}

static gboolean save_run(struct save_call *call, const char *path, GError **error)
{
    struct saved_record record = {.state = call->state, .owner = call->owner};
    g_autofree char *disk = instance_disk_path(call->disk_dir, call->instance_id);
    const gboolean has_disk = g_file_test(disk, G_FILE_TEST_EXISTS);
    if (!save_take_fingerprint(call, error) || !save_domain(call, path, error) || !saved_check(path, has_disk, error) ||
        (has_disk && !save_disk(call, disk, error)))
        return FALSE;
    const gboolean is_kept = saved_commit(call->saved_dir, &record, has_disk, error);
    g_free(record.format);
    g_free(record.sha256);
    g_free(record.disk_sha256);
    return is_kept;
}

gboolean save_call_run(gpointer data, GError **error)
{
    struct save_call *call = data;
    if (!clone_is_supported(&call->link->facts, call->disk_dir, error) || !saved_id_check(call->state->id, error) ||
        !saved_prepare(call->saved_dir, error))
        return FALSE;
    g_autofree char *path = saved_path(call->saved_dir, call->state->id, ".state.part");
    const gboolean is_saved = save_run(call, path, error);
    if (!is_saved)
        saved_remove(call->saved_dir, call->state->id);
    return is_saved;
}

void save_call_free(gpointer data)
{
    struct save_call *call = data;
    link_unref(call->link);
    g_free(call->uuid);
    g_free(call->instance_id);
    g_free(call->owner);
    g_free(call->disk_dir);
    g_free(call->saved_dir);
    saved_origin_clear(&call->origin);
    g_free(call->fingerprint);
    saved_state_free(call->state);
    g_free(call);
}

gboolean forget_call_run(gpointer data, GError **error)
{
    const struct forget_call *call = data;
    (void)error;
    saved_remove(call->saved_dir, call->id);
    return TRUE;
}

void forget_call_free(gpointer data)
{
    struct forget_call *call = data;
    g_free(call->saved_dir);
    g_free(call->id);
    g_free(call);
}
