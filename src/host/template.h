/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "host/xml.h"

/* Domain XML templates: an operator's files, read with suspicion. A template is plain libvirt domain XML; image files in it are named
 * relative to the image directory. One element of our own tells what libvirt XML cannot say, and never reaches libvirt:
 *
 *   <hbr:template xmlns:hbr='urn:harbinger:template:1' agent='harbinger' disk='sparse' disk_mib='4096'/>
 *
 * Any thread. */

#define TEMPLATE_NAMESPACE "urn:harbinger:template:1"

enum template_agent {
    TEMPLATE_AGENT_HARBINGER,
    TEMPLATE_AGENT_QEMU, /* qemu-guest-agent, for an operator's own image */
};

struct template
{
    char *path; /* for messages */
    xmlDoc *doc;
    enum template_agent agent;
    gboolean has_disk; /* a sparse disk of its own for each instance */
    guint disk_mib;
};

/* The template DIRECTORY/NAME.xml. NULL with HBR_ERROR_NOT_FOUND, or HBR_ERROR_INVALID "file:line: what is wrong": a document type,
 * entities, external references, a file above 1 MiB, an unknown knob. */
struct template *template_load(const char *directory, const char *name, GError **error);

/* The same from text; `path` is for messages. */
struct template *template_parse(const char *path, const char *text, gsize length, GError **error);

void template_free(struct template *template);
typedef struct template template_auto;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(template_auto, template_free)
