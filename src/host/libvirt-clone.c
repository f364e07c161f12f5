/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/error.h"
#include "base/log.h"
#include "host/file-copy.h"
#include "host/libvirt-calls.h"
#include "host/libvirt-error.h"
#include "host/save-image.h"
#include "host/template.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The way of cloning, one for all versions of libvirt that are known: a copy of the saved file whose head says another name, uuid and MAC is
 * restored, and is not needed any more as soon as QEMU has read it. */

#define LIBVIRT_OLDEST 9000000

gboolean clone_is_supported(const struct link_facts *facts, const char *disk_dir, GError **error)
{
    if (disk_dir == NULL) {
        hbr_error_set(error, HBR_ERROR_UNSUPPORTED, "saved states work on local hosts only: their files are ours");
    } else if (facts->libvirt_version < LIBVIRT_OLDEST) {
        hbr_error_set(error, HBR_ERROR_UNSUPPORTED, "saved states need libvirt %d or later", LIBVIRT_OLDEST / 1000000);
    } else {
        return TRUE;
    }
    return FALSE;
}

static char *clone_xml(const struct create_call *call, const struct save_image *image, const char *disk_path,
                       gboolean with_bandwidth, GError **error)
{
    const struct domain_plan plan = {
        .boot = &call->boot,
        .disk_path = disk_path,
        .has_bandwidth = with_bandwidth,
        .has_quota = call->has_quota,
    };
    return domain_clone_xml(image->xml, &plan, error);
}

GBytes *saved_read_head(int fd, const char *path, GError **error)
{
    guint8 fixed[SAVE_IMAGE_FIXED_SIZE];
    const gssize fixed_size = pread(fd, fixed, sizeof fixed, 0);
    const gsize size = save_image_head_size(fixed, (gsize)MAX(fixed_size, 0), error);
    if (size == 0) {
        g_prefix_error(error, "%s: ", path);
        return NULL;
    }
    guint8 *head = g_malloc(size);
    const gssize got = pread(fd, head, size, 0);
    return g_bytes_new_take(head, (gsize)MAX(got, 0));
}

static gboolean write_copy(int from, const struct save_image *image, const char *xml, const char *to, GError **error)
{
    g_autoptr(GBytes) head = save_image_build(image, xml, error);
    if (head == NULL)
        return FALSE;
    gsize size;
    const void *data = g_bytes_get_data(head, &size);
    g_unlink(to);
    const int fd = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, data, size) != (gssize)size) {
        hbr_error_set(error, HBR_ERROR_HYPERVISOR, "write %s: %s", to, g_strerror(errno));
        if (fd >= 0)
            close(fd);
        return FALSE;
    }
    const gboolean is_copied = file_copy_tail(from, (gint64)image->stream_at, fd, to, error);
    close(fd);
    return is_copied;
}

struct clone {
    struct create_call *call;
    int fd; /* of the saved state */
    struct save_image image;
    char *disk, *state; /* the clone's own; disk: NULL: it has none */
};

static gboolean clone_restore(const struct clone *clone, gboolean with_bandwidth, GError **error)
{
    g_autofree char *xml = clone_xml(clone->call, &clone->image, clone->disk, with_bandwidth, error);
    if (xml == NULL || !write_copy(clone->fd, &clone->image, xml, clone->state, error))
        return FALSE;
    const int status = virDomainRestoreFlags(clone->call->link->connections[LINK_CONTROL], clone->state, NULL,
                                             VIR_DOMAIN_SAVE_RUNNING);
    const gboolean is_done = status == 0 || libvirt_fail(error, "restore the saved state");
    g_unlink(clone->state);
    return is_done;
}

static gboolean clone_restore_limited(const struct clone *clone, GError **error)
{
    struct create_call *call = clone->call;
    g_autoptr(GError) why = NULL;
    if (clone_restore(clone, call->has_bandwidth, &why))
        return TRUE;
    if (!call->has_bandwidth || !error_is_of_tc(why->message)) {
        g_propagate_error(error, g_steal_pointer(&why));
        return FALSE;
    }
    log_warning("host", "%s starts without a limit of bandwidth: %s", call->boot.instance_id, why->message);
    call->bandwidth_failed = TRUE;
    return clone_restore(clone, FALSE, error);
}

static gboolean clone_open(struct clone *clone, const struct saved_record *record, GBytes **ret_head, GError **error)
{
    const struct create_call *call = clone->call;
    g_autofree char *path = saved_path(call->saved_dir, record->state->id, ".state");
    clone->fd = open(path, O_RDONLY | O_CLOEXEC);
    *ret_head = clone->fd < 0 ? NULL : saved_read_head(clone->fd, path, error);
    if (clone->fd < 0)
        hbr_error_set(error, HBR_ERROR_NOT_FOUND, "open %s: %s", path, g_strerror(errno));
    if (*ret_head == NULL)
        return FALSE;
    gsize size;
    const guint8 *data = g_bytes_get_data(*ret_head, &size);
    return save_image_parse(data, size, &clone->image, error);
}

static gboolean clone_copy_disk(struct clone *clone, const struct saved_record *record, GError **error)
{
    const struct create_call *call = clone->call;
    if (record->disk_sha256 == NULL)
        return TRUE;
    g_autofree char *from = saved_path(call->saved_dir, record->state->id, ".disk");
    clone->disk = instance_disk_path(call->disk_dir, call->boot.instance_id);
    g_unlink(clone->disk);
    return file_copy_sparse(from, clone->disk, error);
}

static gboolean clone_run(struct clone *clone, const struct saved_record *record, GError **error)
{
    g_autoptr(GBytes) head = NULL;
    return clone_open(clone, record, &head, error) && clone_copy_disk(clone, record, error) &&
           clone_restore_limited(clone, error);
}

/* FALSE for one that another template, image, libvirt or QEMU has made, or another Harbinger. */
static gboolean record_fits(const struct create_call *call, const struct saved_record *record, GError **error)
{
    g_autofree char *fingerprint = saved_fingerprint(&call->origin, record->state->template, error);
    if (fingerprint == NULL)
        return FALSE;
    if (strcmp(record->state->fingerprint, fingerprint) == 0 && strcmp(record->owner, call->boot.owner) == 0)
        return TRUE;
    hbr_error_set(error, HBR_ERROR_CONFLICT,
                  "the saved state %s was made from another template, image, libvirt or QEMU", record->state->id);
    return FALSE;
}

/* The record of a state that is whole and of what this host has now; what is not is removed. */
static struct saved_record *clone_record(struct create_call *call, GError **error)
{
    g_autoptr(saved_record_auto) record = saved_verify(call->saved_dir, call->boot.saved, error);
    if (record != NULL && strcmp(record->state->template, call->boot.template) != 0) {
        hbr_error_set(error, HBR_ERROR_INVALID, "the saved state %s is of the template \"%s\", not \"%s\"",
                      record->state->id, record->state->template, call->boot.template);
        return NULL;
    }
    if (record != NULL && record_fits(call, record, error))
        return g_steal_pointer(&record);
    saved_remove(call->saved_dir, call->boot.saved);
    call->is_saved_lost = TRUE;
    return NULL;
}

virDomainPtr clone_domain(struct create_call *call, GError **error)
{
    if (!clone_is_supported(&call->link->facts, call->disk_dir, error))
        return NULL;
    g_autoptr(saved_record_auto) record = clone_record(call, error);
    if (record == NULL)
        return NULL;
    call->agent = TEMPLATE_AGENT_HARBINGER;
    g_mkdir_with_parents(call->disk_dir, 0711);
    struct clone clone = {.call = call, .fd = -1, .state = instance_state_path(call->disk_dir, call->boot.instance_id)};
    const gboolean is_done = clone_run(&clone, record, error);
    if (clone.fd >= 0)
        close(clone.fd);
    g_free(clone.disk);
    g_free(clone.state);
    return is_done ? link_find(call->link, LINK_CONTROL, call->boot.uuid, error) : NULL;
}
