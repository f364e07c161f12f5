/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/error.h"
#include "host/domain-xml.h"
#include "host/save-image.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

/* The head of libvirt's saved states, and the XML in it made that of a clone. Bytes are written down here as libvirt writes them. */

#define UUID "3f1b6f6e-6a0f-4d56-8a5e-0c3f5b7a9d10"
#define CLONE_UUID "00000000-0000-4000-8000-000000000002"

static const char cookie[] = "<cookie/>";

struct numbers {
    guint32 version, data_size, was_running, format, cookie_at;
};

static GByteArray *image_bytes(const char *magic, const struct numbers *numbers, const char *xml, gsize padding)
{
    static const guint8 zeros[256];
    GByteArray *bytes = g_byte_array_new();
    g_byte_array_append(bytes, (const guint8 *)magic, 16);
    g_byte_array_append(bytes, (const guint8 *)numbers, sizeof *numbers);
    g_byte_array_append(bytes, zeros, 56);
    g_byte_array_append(bytes, (const guint8 *)xml, (guint)strlen(xml));
    g_byte_array_append(bytes, zeros, (guint)padding + 1);
    g_byte_array_append(bytes, (const guint8 *)cookie, sizeof cookie);
    g_byte_array_append(bytes, (const guint8 *)"QEVM", 4);
    return bytes;
}

/* As libvirt writes it: XML of `xml_size` bytes with its NUL, then the cookie. */
static struct numbers numbers_for(gsize xml_size)
{
    return (struct numbers){.version = 2,
                            .data_size = (guint32)(xml_size + sizeof cookie),
                            .was_running = 0,
                            .cookie_at = (guint32)xml_size};
}

/* What is rewritten is read back, with libvirt's cookie, and runs at once; the stream begins where the head ends. */
START_TEST(test_rewrite)
{
    const struct numbers numbers = numbers_for(strlen("<domain/>") + 1 + 30);
    g_autoptr(GByteArray) bytes = image_bytes("LibvirtQemudSave", &numbers, "<domain/>", 30);
    struct save_image image, again;
    ck_assert_uint_eq(save_image_head_size(bytes->data, SAVE_IMAGE_FIXED_SIZE, NULL), bytes->len - 4);
    ck_assert(save_image_parse(bytes->data, bytes->len, &image, NULL));
    ck_assert_str_eq(image.xml, "<domain/>");
    ck_assert(!image.was_running && memcmp(bytes->data + image.stream_at, "QEVM", 4) == 0);
    g_autoptr(GBytes) head = save_image_build(&image, "<domain>longer than the first one was, by far</domain>", NULL);
    gsize size;
    const guint8 *data = g_bytes_get_data(head, &size);
    ck_assert(save_image_parse(data, size, &again, NULL));
    ck_assert_str_eq(again.xml, "<domain>longer than the first one was, by far</domain>");
    ck_assert(again.was_running && again.stream_at == size);
    ck_assert_uint_eq(again.cookie_size, sizeof cookie);
    ck_assert_mem_eq(again.cookie, cookie, sizeof cookie);
}
END_TEST

static const struct {
    const char *magic;
    struct numbers numbers;
    gsize cut_at; /* 0: whole */
    int code;
    const char *message;
} bad_images[] = {
    {"LibvirtQemudPart", {2, 20, 1, 0, 10}, 0, HBR_ERROR_INVALID, "not complete"},
    {"TestGuestMagic\n ", {2, 20, 1, 0, 10}, 0, HBR_ERROR_INVALID, "not a saved state"},
    {"LibvirtQemudSave", {2, 20, 1, 0, 10}, 91, HBR_ERROR_INVALID, "not a saved state"},
    {"LibvirtQemudSave", {3, 20, 1, 0, 10}, 0, HBR_ERROR_UNSUPPORTED, "version 3"},
    {"LibvirtQemudSave", {2, 20, 1, 4, 10}, 0, HBR_ERROR_UNSUPPORTED, "save_image_format"},
    {"LibvirtQemudSave", {2, 0, 1, 0, 0}, 0, HBR_ERROR_INVALID, "0 bytes"},
    {"LibvirtQemudSave", {2, G_MAXUINT32, 1, 0, 0}, 0, HBR_ERROR_INVALID, "4294967295 bytes"},
    {"LibvirtQemudSave", {2, 20, 1, 0, 10}, 100, HBR_ERROR_INVALID, "cut off"},
    {"LibvirtQemudSave", {2, 20, 1, 0, 20}, 0, HBR_ERROR_INVALID, "contradicts"},
    {"LibvirtQemudSave", {2, 20, 1, 0, G_MAXUINT32}, 0, HBR_ERROR_INVALID, "contradicts"},
    {"LibvirtQemudSave", {2, 20, 1, 0, 9}, 0, HBR_ERROR_INVALID, "contradicts"}, /* XML without its NUL */
};

/* What is not exactly the one known format is refused, and told apart from damage. */
START_TEST(test_bad)
{
    g_autoptr(GByteArray) bytes = image_bytes(bad_images[_i].magic, &bad_images[_i].numbers, "<domain/>", 0);
    g_autoptr(GError) error = NULL;
    struct save_image image;
    const gsize size = bad_images[_i].cut_at == 0 ? bytes->len : bad_images[_i].cut_at;
    g_autofree guint8 *exact = g_memdup2(bytes->data, size);
    ck_assert(!save_image_parse(exact, size, &image, &error));
    ck_assert_int_eq(error->code, bad_images[_i].code);
    ck_assert_msg(strstr(error->message, bad_images[_i].message) != NULL, "%s", error->message);
}
END_TEST

#define HEAD                                                                                               \
    "<domain type='qemu'><name>harbinger-vm-1</name><uuid>" UUID "</uuid><metadata>"                       \
    "<harbinger:instance xmlns:harbinger='urn:harbinger:instance:1' id='vm-1' owner='me' pool='p@h'/>"     \
    "</metadata><vcpu current='1'>4</vcpu><cputune><shares>5</shares><global_period>20000</global_period>" \
    "<global_quota>5000</global_quota></cputune><devices>"
#define DISK "<disk type='file'><source file='/disks/vm-1.raw'/></disk>"
#define IMAGE "<disk type='file'><source file='/images/r.squashfs'/><readonly/></disk>"
#define NIC "<interface type='bridge'><mac address='52:54:00:01:02:03'/><target dev='tap7'/><bandwidth/></interface>"
#define CHANNEL                                                                                    \
    "<channel type='unix'><source mode='bind' path='/run/domain-7-harbinger-vm-1/org.harbinger'/>" \
    "<target type='virtio' name='org.harbinger.guest.0'/></channel>"
#define TAIL "</devices></domain>"

static char clone_id[] = "vm-2", clone_uuid[] = CLONE_UUID, clone_owner[] = "me", clone_reservation[] = "res-9";

static char *clone_of(const char *xml, const char *disk_path, gboolean has_limits, GError **error)
{
    const struct boot_spec boot = {
        .instance_id = clone_id,
        .uuid = clone_uuid,
        .owner = clone_owner,
        .reservation_id = clone_reservation,
        .shape = {.vcpus = 1, .memory_mib = 256, .network_mbps = 10, .cpu_percent = 50},
    };
    const struct domain_plan plan = {
        .boot = &boot, .disk_path = disk_path, .has_bandwidth = has_limits, .has_quota = has_limits};
    return domain_clone_xml(xml, &plan, error);
}

/* Nothing that names the first domain is left in its clone; what the guest was born with stays. */
START_TEST(test_clone)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *xml = clone_of(HEAD IMAGE DISK NIC CHANNEL TAIL, "/disks/vm-2.raw", TRUE, &error);
    g_autofree char *mac = domain_mac(CLONE_UUID);
    ck_assert_msg(xml != NULL, "%s", error != NULL ? error->message : "");
    static const char *const gone[] = {"vm-1", UUID, "01:02:03", "tap7", "/run/", "p@h", "5000<"};
    for (gsize i = 0; i < G_N_ELEMENTS(gone); i++)
        ck_assert_msg(strstr(xml, gone[i]) == NULL, "%s is left in %s", gone[i], xml);
    const char *const there[] = {"<name>harbinger-vm-2<",   CLONE_UUID,   mac,          "/disks/vm-2.raw",
                                 "/images/r.squashfs",      "\"res-9\"",  "<shares>5<", "<global_quota>10000<",
                                 "<inbound average=\"1220", "current=\"1"};
    for (gsize i = 0; i < G_N_ELEMENTS(there); i++)
        ck_assert_msg(strstr(xml, there[i]) != NULL, "%s is not in %s", there[i], xml);
}
END_TEST

/* A host that cannot limit gets no limits, not those of the first domain. */
START_TEST(test_clone_without_limits)
{
    g_autofree char *xml = clone_of(HEAD IMAGE NIC CHANNEL TAIL, NULL, FALSE, NULL);
    ck_assert_ptr_nonnull(xml);
    ck_assert(strstr(xml, "global_quota") == NULL && strstr(xml, "bandwidth") == NULL);
}
END_TEST

static const struct {
    const char *xml, *disk_path;
    int code;
    const char *message;
} bad_clones[] = {
    {"no XML", NULL, HBR_ERROR_INVALID, "not of a domain of ours"},
    {"<!DOCTYPE d [<!ENTITY a 'b'>]>" HEAD TAIL, NULL, HBR_ERROR_INVALID, "not of a domain of ours"},
    {"<domain><devices/></domain>", NULL, HBR_ERROR_INVALID, "not of a domain of ours"},
    {HEAD NIC NIC TAIL, NULL, HBR_ERROR_UNSUPPORTED, "more than one NIC"},
    {HEAD "<interface type='user'/>" TAIL, NULL, HBR_ERROR_UNSUPPORTED, "no address"},
    {HEAD "<hostdev/>" TAIL, NULL, HBR_ERROR_UNSUPPORTED, "device of the host"},
    {HEAD DISK TAIL, NULL, HBR_ERROR_UNSUPPORTED, "writable disk"},
    {HEAD "<disk><source file='/shared.raw'/></disk>" TAIL, "/disks/vm-2.raw", HBR_ERROR_UNSUPPORTED, "writable disk"},
    {HEAD IMAGE TAIL, "/disks/vm-2.raw", HBR_ERROR_UNSUPPORTED, "own disk is not found"},
    {HEAD DISK DISK TAIL, "/disks/vm-2.raw", HBR_ERROR_UNSUPPORTED, "own disk is not found"},
};

/* What two domains must not have in common is not cloned. */
START_TEST(test_bad_clone)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *xml = clone_of(bad_clones[_i].xml, bad_clones[_i].disk_path, FALSE, &error);
    ck_assert_ptr_null(xml);
    ck_assert_int_eq(error->code, bad_clones[_i].code);
    ck_assert_msg(strstr(error->message, bad_clones[_i].message) != NULL, "%s", error->message);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("save-image");
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, test_rewrite);
    tcase_add_loop_test(tests, test_bad, 0, G_N_ELEMENTS(bad_images));
    tcase_add_test(tests, test_clone);
    tcase_add_test(tests, test_clone_without_limits);
    tcase_add_loop_test(tests, test_bad_clone, 0, G_N_ELEMENTS(bad_clones));
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
