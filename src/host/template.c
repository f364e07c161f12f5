/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/template.h"

#include "base/error.h"
#include "base/id.h"

#include <glib/gstdio.h>
#include <libxml/SAX2.h>
#include <libxml/parser.h>
#include <string.h>

#define TEMPLATE_SIZE_MAX (1024 * 1024)
#define TEMPLATE_DISK_MAX (64u * 1024 * 1024)

/* Parser callback for <!DOCTYPE: the one place where entities and external references can come from. */
static void template_refuse_dtd(void *context, const xmlChar *name, const xmlChar *external, const xmlChar *system)
{
    xmlParserCtxt *parser = context;
    (void)name, (void)external, (void)system;
    int *ret_line = parser->_private;
    *ret_line = xmlSAX2GetLineNumber(parser);
    xmlStopParser(parser);
}

static char *template_parser_message(const xmlParserCtxt *parser)
{
    const xmlError *last = xmlCtxtGetLastError((void *)parser);
    char *message = g_strdup(last != NULL && last->message != NULL ? last->message : "not well-formed XML");
    return g_strstrip(message);
}

static xmlDoc *template_parse_document(const char *path, const char *text, gsize length, GError **error)
{
    int dtd_line = 0;
    xmlParserCtxt *parser = xmlNewParserCtxt();
    parser->_private = &dtd_line;
    parser->sax->internalSubset = template_refuse_dtd;
    parser->sax->externalSubset = template_refuse_dtd;
    xmlDoc *doc = xmlCtxtReadMemory(parser, text, (int)length, path, NULL,
                                    XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING | XML_PARSE_NOBLANKS |
                                        XML_PARSE_NOCDATA);
    if (dtd_line > 0) {
        hbr_error_set(error, HBR_ERROR_INVALID,
                      "%s:%d: a document type is not accepted; a template is libvirt domain XML without DOCTYPE, "
                      "entities or external references",
                      path, dtd_line);
        g_clear_pointer(&doc, xmlFreeDoc);
    } else if (doc == NULL) {
        const xmlError *last = xmlCtxtGetLastError(parser);
        g_autofree char *message = template_parser_message(parser);
        hbr_error_set(error, HBR_ERROR_INVALID, "%s:%d: %s", path, last != NULL ? last->line : 1, message);
    }
    xmlFreeParserCtxt(parser);
    return doc;
}

static xmlNode *template_own_element(xmlNode *root)
{
    for (xmlNode *node = xml_child(root, "template"); node != NULL; node = xml_next(node)) {
        if (node->ns != NULL && strcmp((const char *)node->ns->href, TEMPLATE_NAMESPACE) == 0)
            return node;
    }
    return NULL;
}

static gboolean template_invalid(const struct template *template, const xmlNode *node, const char *what, GError **error)
{
    hbr_error_set(error, HBR_ERROR_INVALID, "%s:%ld: %s", template->path, xmlGetLineNo(node), what);
    return FALSE;
}

static gboolean template_read_agent(struct template *template, const xmlNode *node, const char *value, GError **error)
{
    if (strcmp(value, "harbinger") == 0)
        template->agent = TEMPLATE_AGENT_HARBINGER;
    else if (strcmp(value, "qemu-guest-agent") == 0)
        template->agent = TEMPLATE_AGENT_QEMU;
    else
        return template_invalid(template, node, "agent is \"harbinger\" or \"qemu-guest-agent\"", error);
    return TRUE;
}

static gboolean template_read_disk(struct template *template, const xmlNode *node, const char *value, GError **error)
{
    if (strcmp(value, "none") != 0 && strcmp(value, "sparse") != 0)
        return template_invalid(template, node, "disk is \"none\" or \"sparse\"", error);
    template->has_disk = strcmp(value, "sparse") == 0;
    return TRUE;
}

static gboolean template_read_disk_mib(struct template *template, const xmlNode *node, const char *value,
                                       GError **error)
{
    guint64 size;
    if (!g_ascii_string_to_unsigned(value, 10, 1, TEMPLATE_DISK_MAX, &size, NULL))
        return template_invalid(template, node, "disk_mib is a number of MiB from 1 to 67108864", error);
    template->disk_mib = (guint)size;
    return TRUE;
}

static const struct {
    const char *name;
    gboolean (*read)(struct template *template, const xmlNode *node, const char *value, GError **error);
} template_knobs[] = {
    {"agent", template_read_agent},
    {"disk", template_read_disk},
    {"disk_mib", template_read_disk_mib},
};

static gboolean template_read_knob(struct template *template, const xmlNode *node, const char *name, GError **error)
{
    g_autofree char *value = xml_attribute(node, name);
    for (gsize i = 0; i < G_N_ELEMENTS(template_knobs); i++) {
        if (strcmp(template_knobs[i].name, name) == 0)
            return template_knobs[i].read(template, node, value, error);
    }
    g_autofree char *message = g_strdup_printf("unknown knob \"%s\"; there are agent, disk and disk_mib", name);
    return template_invalid(template, node, message, error);
}

/* Reads our own element and takes it out of the document. */
static gboolean template_read_knobs(struct template *template, xmlNode *root, GError **error)
{
    xmlNode *node = template_own_element(root);
    if (node == NULL)
        return TRUE;
    for (const xmlAttr *attribute = node->properties; attribute != NULL; attribute = attribute->next) {
        if (!template_read_knob(template, node, (const char *)attribute->name, error))
            return FALSE;
    }
    xml_remove(node);
    return TRUE;
}

struct template *template_parse(const char *path, const char *text, gsize length, GError **error)
{
    g_autoptr(template_auto) template = g_new0(struct template, 1);
    template->path = g_strdup(path);
    template->disk_mib = 4096;
    if (length > TEMPLATE_SIZE_MAX) {
        hbr_error_set(error, HBR_ERROR_INVALID, "%s:1: the file is larger than 1 MiB", path);
        return NULL;
    }
    template->doc = template_parse_document(path, text, length, error);
    if (template->doc == NULL)
        return NULL;
    xmlNode *root = xmlDocGetRootElement(template->doc);
    if (strcmp((const char *)root->name, "domain") != 0) {
        template_invalid(template, root, "the root element of a template is <domain>", error);
        return NULL;
    }
    return template_read_knobs(template, root, error) ? g_steal_pointer(&template) : NULL;
}

/* A template's name is one file name, so that no notification can reach out of the directory. */
static gboolean template_name_is_plain(const char *name)
{
    return id_is_valid_name(name, 64) && strchr(name, '/') == NULL;
}

struct template *template_load(const char *directory, const char *name, GError **error)
{
    g_autofree char *file = g_strdup_printf("%s.xml", name);
    g_autofree char *path = g_build_filename(directory, file, NULL);
    g_autofree char *text = NULL;
    gsize length = 0;
    GStatBuf info;
    if (!template_name_is_plain(name)) {
        hbr_error_set(error, HBR_ERROR_INVALID,
                      "template \"%s\": a template's name is letters, digits, '.', '_' and '-'", name);
        return NULL;
    }
    if (g_stat(path, &info) != 0 || !S_ISREG(info.st_mode)) {
        hbr_error_set(error, HBR_ERROR_NOT_FOUND, "template \"%s\": there is no file %s", name, path);
        return NULL;
    }
    if (info.st_size > TEMPLATE_SIZE_MAX || !g_file_get_contents(path, &text, &length, NULL)) {
        hbr_error_set(error, HBR_ERROR_INVALID, "%s:1: the file is unreadable or larger than 1 MiB", path);
        return NULL;
    }
    return template_parse(path, text, length, error);
}

void template_free(struct template *template)
{
    if (template == NULL)
        return;
    g_clear_pointer(&template->doc, xmlFreeDoc);
    g_free(template->path);
    g_free(template);
}
