/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/error.h"
#include "host/saved-store.h"
#include "host/template.h"

#include <errno.h>
#include <inttypes.h>
#include <sys/stat.h>

/* Counts up when what a warm guest is made of changes in Harbinger itself. */
#define GENERATION 1

void saved_origin_copy_to(const struct saved_origin *origin, struct saved_origin *ret_copy)
{
    *ret_copy = *origin;
    ret_copy->template_dir = g_strdup(origin->template_dir);
    ret_copy->image_dir = g_strdup(origin->image_dir);
    ret_copy->network = g_strdup(origin->network);
}

void saved_origin_clear(struct saved_origin *origin)
{
    g_free(origin->template_dir);
    g_free(origin->image_dir);
    g_free(origin->network);
    *origin = (struct saved_origin){0};
}

static gboolean add_file(GString *text, const struct saved_origin *origin, char *owned_path, GError **error)
{
    g_autofree char *path = owned_path;
    struct stat info;
    if (path == NULL)
        return TRUE;
    if (!g_path_is_absolute(path)) {
        char *full = g_build_filename(origin->image_dir, path, NULL);
        g_free(path);
        path = full;
    }
    if (stat(path, &info) != 0) {
        hbr_error_set(error, HBR_ERROR_NOT_FOUND, "the image %s: %s", path, g_strerror(errno));
        return FALSE;
    }
    g_string_append_printf(text, "%s %jd %jd.%09ld\n", path, (intmax_t)info.st_size, (intmax_t)info.st_mtim.tv_sec,
                           info.st_mtim.tv_nsec);
    return TRUE;
}

static gboolean add_images(GString *text, const struct saved_origin *origin, const struct template *template,
                           GError **error)
{
    const xmlNode *root = xmlDocGetRootElement(template->doc);
    if (!add_file(text, origin, xml_text(xml_path(root, "os/kernel")), error) ||
        !add_file(text, origin, xml_text(xml_path(root, "os/initrd")), error))
        return FALSE;
    for (const xmlNode *disk = xml_path(root, "devices/disk"); disk != NULL; disk = xml_next(disk)) {
        if (!add_file(text, origin, xml_attribute(xml_child(disk, "source"), "file"), error))
            return FALSE;
    }
    return TRUE;
}

char *saved_fingerprint(const struct saved_origin *origin, const char *name, GError **error)
{
    g_autoptr(template_auto) template = template_load(origin->template_dir, name, error);
    g_autoptr(GString) text = g_string_new(NULL);
    if (template == NULL)
        return NULL;
    g_autofree char *xml = xml_to_string(template->doc);
    g_string_append_printf(text, "%d %lu %lu %d %s %d %d %u\n", GENERATION, origin->libvirt_version,
                           origin->qemu_version, origin->acceleration,
                           origin->network != NULL ? origin->network : "none", template->agent, template->has_disk,
                           template->disk_mib);
    if (!add_images(text, origin, template, error))
        return NULL;
    g_string_append(text, xml);
    return g_compute_checksum_for_string(G_CHECKSUM_SHA256, text->str, (gssize)text->len);
}
