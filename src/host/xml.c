/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/xml.h"

#include <string.h>

static xmlNode *xml_first_named(xmlNode *node, const char *name)
{
    for (; node != NULL; node = node->next) {
        if (node->type == XML_ELEMENT_NODE && strcmp((const char *)node->name, name) == 0)
            return node;
    }
    return NULL;
}

xmlNode *xml_child(const xmlNode *parent, const char *name)
{
    return parent == NULL ? NULL : xml_first_named(parent->children, name);
}

xmlNode *xml_next(const xmlNode *node)
{
    return xml_first_named(node->next, (const char *)node->name);
}

xmlNode *xml_path(const xmlNode *parent, const char *path)
{
    g_auto(GStrv) names = g_strsplit(path, "/", -1);
    xmlNode *node = (xmlNode *)parent;
    for (guint i = 0; names[i] != NULL && node != NULL; i++)
        node = xml_child(node, names[i]);
    return node;
}

xmlNode *xml_append(xmlNode *parent, const char *name, const char *text)
{
    return xmlNewTextChild(parent, NULL, (const xmlChar *)name, (const xmlChar *)text);
}

xmlNode *xml_ensure(xmlNode *parent, const char *name)
{
    xmlNode *node = xml_child(parent, name);
    return node != NULL ? node : xml_append(parent, name, NULL);
}

void xml_set_text(xmlNode *node, const char *text)
{
    xmlNode *children = node->children;
    node->children = node->last = NULL;
    xmlFreeNodeList(children);
    /* Unlike xmlNodeSetContent this takes the text as it is and looks for no entities in it. */
    xmlNodeAddContent(node, (const xmlChar *)text);
}

xmlNode *xml_set(xmlNode *parent, const char *name, const char *text)
{
    xmlNode *node = xml_ensure(parent, name);
    xml_set_text(node, text);
    return node;
}

void xml_set_attribute(xmlNode *node, const char *name, const char *value)
{
    xmlSetProp(node, (const xmlChar *)name, (const xmlChar *)value);
}

void xml_set_attribute_uint(xmlNode *node, const char *name, guint64 value)
{
    g_autofree char *text = g_strdup_printf("%" G_GUINT64_FORMAT, value);
    xml_set_attribute(node, name, text);
}

static char *xml_take(xmlChar *text)
{
    char *copy = g_strdup((const char *)text);
    if (text != NULL)
        xmlFree(text);
    return copy;
}

char *xml_attribute(const xmlNode *node, const char *name)
{
    return node == NULL ? NULL : xml_take(xmlGetNoNsProp(node, (const xmlChar *)name));
}

char *xml_text(const xmlNode *node)
{
    if (node == NULL)
        return NULL;
    char *text = xml_take(xmlNodeGetContent(node));
    return text == NULL ? NULL : g_strstrip(text);
}

void xml_remove(xmlNode *node)
{
    if (node == NULL)
        return;
    xmlUnlinkNode(node);
    xmlFreeNode(node);
}

void xml_remove_children(xmlNode *parent, const char *name)
{
    for (xmlNode *node; (node = xml_child(parent, name)) != NULL;)
        xml_remove(node);
}

char *xml_to_string(xmlDoc *doc)
{
    xmlBuffer *buffer = xmlBufferCreate();
    xmlNodeDump(buffer, doc, xmlDocGetRootElement(doc), 0, 1);
    char *text = g_strdup_printf("%s\n", (const char *)xmlBufferContent(buffer));
    xmlBufferFree(buffer);
    return text;
}
