/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/error.h"
#include "base/log.h"
#include "host/libvirt-calls.h"
#include "host/libvirt-error.h"
#include "wire/message.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <libvirt/virterror.h>
#include <string.h>
#include <unistd.h>

/* The calls that make and end a domain with what belongs to it. */

void boot_spec_copy_to(const struct boot_spec *boot, struct boot_spec *ret_copy)
{
    *ret_copy = *boot;
    ret_copy->instance_id = g_strdup(boot->instance_id);
    ret_copy->uuid = g_strdup(boot->uuid);
    ret_copy->owner = g_strdup(boot->owner);
    ret_copy->template = g_strdup(boot->template);
    ret_copy->reservation_id = g_strdup(boot->reservation_id);
    ret_copy->profile = g_strdup(boot->profile);
    ret_copy->language = g_strdup(boot->language);
    ret_copy->pool = g_strdup(boot->pool);
    ret_copy->saved = g_strdup(boot->saved);
}

void boot_spec_clear(struct boot_spec *boot)
{
    g_free(boot->instance_id);
    g_free(boot->uuid);
    g_free(boot->owner);
    g_free(boot->template);
    g_free(boot->reservation_id);
    g_free(boot->profile);
    g_free(boot->language);
    g_free(boot->pool);
    g_free(boot->saved);
    *boot = (struct boot_spec){0};
}

char *instance_disk_path(const char *disk_dir, const char *instance_id)
{
    g_autofree char *file = g_strdup_printf("%s.raw", instance_id);
    return g_build_filename(disk_dir, file, NULL);
}

char *instance_state_path(const char *disk_dir, const char *instance_id)
{
    g_autofree char *file = g_strdup_printf("%s.state", instance_id);
    return g_build_filename(disk_dir, file, NULL);
}

static gboolean disk_make(const char *path, guint size_mib, GError **error)
{
    g_autofree char *directory = g_path_get_dirname(path);
    g_mkdir_with_parents(directory, 0711);
    const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    const gboolean is_made = fd >= 0 && ftruncate(fd, (off_t)size_mib << 20) == 0;
    if (!is_made)
        hbr_error_set(error, HBR_ERROR_HYPERVISOR, "make the disk %s: %s", path, g_strerror(errno));
    if (fd >= 0)
        close(fd);
    return is_made;
}

/* FALSE with an error; *ret_path is NULL when the template wants no disk. */
static gboolean create_disk(const struct create_call *call, const struct template *template, char **ret_path,
                            GError **error)
{
    if (!template->has_disk)
        return TRUE;
    if (call->disk_dir == NULL) {
        hbr_error_set(error, HBR_ERROR_UNSUPPORTED, "%s: disk='sparse' works on local hosts only", template->path);
        return FALSE;
    }
    *ret_path = instance_disk_path(call->disk_dir, call->boot.instance_id);
    return g_file_test(*ret_path, G_FILE_TEST_EXISTS) || disk_make(*ret_path, template->disk_mib, error);
}

static char *create_xml(struct create_call *call, gboolean with_bandwidth, GError **error)
{
    g_autoptr(template_auto) template = template_load(call->template_dir, call->boot.template, error);
    g_autofree char *disk = NULL;
    if (template == NULL || !create_disk(call, template, &disk, error))
        return NULL;
    call->agent = template->agent;
    const struct domain_plan plan = {
        .boot = &call->boot,
        .image_dir = call->image_dir,
        .network = call->network,
        .disk_path = disk,
        .gpus = call->gpus,
        .use_kvm = call->use_kvm,
        .drop_cpu_check = call->drop_cpu_check,
        .has_bandwidth = with_bandwidth,
        .has_quota = call->has_quota,
        .is_local = call->is_local,
    };
    return domain_xml_build(template, &plan, error);
}

gboolean error_is_of_tc(const char *message)
{
    return message != NULL && (strstr(message, "tc ") != NULL || strstr(message, "qdisc") != NULL);
}

static virDomainPtr create_domain(struct create_call *call, GError **error)
{
    g_autofree char *xml = create_xml(call, call->has_bandwidth, error);
    if (xml == NULL)
        return NULL;
    virConnectPtr connection = call->link->connections[LINK_CONTROL];
    virDomainPtr domain = virDomainCreateXML(connection, xml, 0);
    if (domain == NULL && call->has_bandwidth && error_is_of_tc(virGetLastErrorMessage())) {
        log_warning("host", "%s starts without a limit of bandwidth: %s", call->boot.instance_id,
                    virGetLastErrorMessage());
        g_autofree char *plain = create_xml(call, FALSE, error);
        if (plain == NULL)
            return NULL;
        call->bandwidth_failed = TRUE;
        domain = virDomainCreateXML(connection, plain, 0);
    }
    if (domain == NULL)
        libvirt_fail(error, "start the domain");
    return domain;
}

static gboolean create_look(struct create_call *call, virDomainPtr domain, GError **error)
{
    char *xml = virDomainGetXMLDesc(domain, 0);
    if (xml == NULL)
        return libvirt_fail(error, "read the domain back");
    call->live = domain_live_parse(xml, WIRE_CHANNEL_NAME, error);
    free(xml);
    return call->live != NULL;
}

gboolean create_call_run(gpointer data, GError **error)
{
    struct create_call *call = data;
    if (call->boot.pool != NULL && call->boot.saved == NULL) {
        call->fingerprint = saved_fingerprint(&call->origin, call->boot.template, error);
        if (call->fingerprint == NULL)
            return FALSE;
    }
    g_autoptr(virDomain) domain = call->boot.saved == NULL ? create_domain(call, error) : clone_domain(call, error);
    return domain != NULL && create_look(call, domain, error);
}

void create_call_free(gpointer data)
{
    struct create_call *call = data;
    link_unref(call->link);
    boot_spec_clear(&call->boot);
    g_free(call->template_dir);
    g_free(call->image_dir);
    g_free(call->network);
    g_free(call->disk_dir);
    g_free(call->saved_dir);
    saved_origin_clear(&call->origin);
    g_free(call->fingerprint);
    g_strfreev(call->gpus);
    domain_live_free(call->live);
    g_free(call);
}

enum belonging { BELONGS_TO_US, BELONGS_TO_OTHERS, BELONGS_TO_NOBODY };

/* Ours is only what carries this owner's id and this instance's. A domain whose QEMU has died is found by its name for a moment more, but has no
 * definition to read: libvirt is removing it itself. */
static enum belonging destroy_look(const struct destroy_call *call, virDomainPtr domain)
{
    g_autofree char *instance_id = NULL;
    g_autofree char *owner = NULL;
    if (domain_read_metadata(domain, &instance_id, &owner))
        return g_strcmp0(owner, call->owner) == 0 && g_strcmp0(instance_id, call->instance_id) == 0 ? BELONGS_TO_US
                                                                                                    : BELONGS_TO_OTHERS;
    return virGetLastErrorCode() == VIR_ERR_OPERATION_INVALID || libvirt_no_domain() ? BELONGS_TO_NOBODY
                                                                                     : BELONGS_TO_OTHERS;
}

static gboolean destroy_domain(const struct destroy_call *call, virDomainPtr domain, GError **error)
{
    const enum belonging belonging = destroy_look(call, domain);
    if (belonging == BELONGS_TO_NOBODY)
        return TRUE;
    if (belonging == BELONGS_TO_OTHERS) {
        hbr_error_set(error, HBR_ERROR_DENIED, "the domain %s is not this Harbinger's: it is left alone",
                      virDomainGetName(domain));
        return FALSE;
    }
    if (virDomainDestroy(domain) < 0 && virGetLastErrorCode() != VIR_ERR_OPERATION_INVALID && !libvirt_no_domain())
        return libvirt_fail(error, "destroy the domain");
    if (virDomainIsPersistent(domain) == 1 && virDomainUndefine(domain) < 0 && !libvirt_no_domain())
        return libvirt_fail(error, "undefine the domain");
    return TRUE;
}

gboolean destroy_call_run(gpointer data, GError **error)
{
    struct destroy_call *call = data;
    g_autofree char *name = domain_name(call->instance_id);
    g_autoptr(virDomain) domain = virDomainLookupByName(call->link->connections[LINK_SLOW], name);
    if (domain == NULL && !libvirt_no_domain())
        return libvirt_fail(error, "look the domain up");
    if (domain != NULL && !destroy_domain(call, domain, error))
        return FALSE;
    if (call->disk_dir != NULL) {
        g_autofree char *disk = instance_disk_path(call->disk_dir, call->instance_id);
        g_autofree char *state = instance_state_path(call->disk_dir, call->instance_id);
        g_unlink(disk);
        g_unlink(state);
    }
    return TRUE;
}

void destroy_call_free(gpointer data)
{
    struct destroy_call *call = data;
    link_unref(call->link);
    g_free(call->instance_id);
    g_free(call->owner);
    g_free(call->disk_dir);
    g_free(call);
}
