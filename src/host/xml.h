/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <libxml/tree.h>

/* What GLib-style code needs of libxml2's tree: find, ensure, set. Names without a namespace prefix match elements in any namespace. Texts
 * are plain text, never markup. Any thread, each with its own document. */

G_DEFINE_AUTOPTR_CLEANUP_FUNC(xmlDoc, xmlFreeDoc)

/* The first child element of that name, or NULL (also for a NULL parent). */
xmlNode *xml_child(const xmlNode *parent, const char *name);

/* The next sibling element of the same name as `node`, or NULL. */
xmlNode *xml_next(const xmlNode *node);

/* The element at the end of a path like "devices/interface/target" of first children, or NULL. */
xmlNode *xml_path(const xmlNode *parent, const char *path);

/* xml_child, appended when it is missing. */
xmlNode *xml_ensure(xmlNode *parent, const char *name);

/* Appends an element; `text` may be NULL. */
xmlNode *xml_append(xmlNode *parent, const char *name, const char *text);

/* xml_ensure with its content replaced by `text`. */
xmlNode *xml_set(xmlNode *parent, const char *name, const char *text);
void xml_set_text(xmlNode *node, const char *text);
void xml_set_attribute(xmlNode *node, const char *name, const char *value);
void xml_set_attribute_uint(xmlNode *node, const char *name, guint64 value);

/* NULL when absent. Free with g_free. */
char *xml_attribute(const xmlNode *node, const char *name);
char *xml_text(const xmlNode *node);

void xml_remove(xmlNode *node);
void xml_remove_children(xmlNode *parent, const char *name);

/* The document as indented text without the XML declaration. Free with g_free. */
char *xml_to_string(xmlDoc *doc);
