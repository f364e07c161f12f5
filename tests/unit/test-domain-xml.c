/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/error.h"
#include "golden.h"
#include "host/domain-xml.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static struct boot_spec test_boot(const char *template)
{
    return (struct boot_spec){
        .instance_id = (char *)"vm-test",
        .uuid = (char *)"6f1c4f0e-0a53-4b5e-9d2e-3a1d7c1b0001",
        .owner = (char *)"owner-1",
        .template = (char *)template,
        .shape = {.vcpus = 1, .memory_mib = 512},
        .maximum = {.vcpus = 4, .memory_mib = 2048},
        .reservation_id = (char *)"res-1",
        .profile = (char *)"low",
    };
}

static struct template *shipped_template(const char *name)
{
    g_autofree char *directory = g_build_filename(g_getenv("HBR_SOURCE_DIR"), "templates", NULL);
    g_autoptr(GError) error = NULL;
    struct template *template = template_load(directory, name, &error);
    ck_assert_msg(template != NULL, "%s", error != NULL ? error->message : "");
    return template;
}

struct golden_case {
    const char *golden, *template;
    struct vm_shape shape, maximum;
    struct domain_plan plan;
};

static char *test_gpus[] = {(char *)"0000:65:00.0", NULL};

static const struct golden_case golden_cases[] = {
    {"domain-base.xml", "base", {1, 512}, {4, 2048}, {.drop_cpu_check = TRUE}},
    {"domain-base-fixed.xml", "base", {1, 128}, {1, 128}, {.network = "none"}},
    {"domain-base-kvm.xml", "base", {2, 1024}, {8, 16384}, {.use_kvm = TRUE, .network = "user"}},
    {"domain-runtimes-bridge.xml",
     "runtimes",
     {1, 512, 10},
     {4, 2048, 100},
     {.network = "bridge=br0", .has_bandwidth = TRUE}},
    {"domain-runtimes-disk.xml",
     "runtimes-disk",
     {1, 512, 10},
     {4, 2048, 100},
     {.network = "network=default", .disk_path = "/state/vm-test.raw"}},
    {"domain-guest-agent-gpu.xml", "guest-agent", {8, 8192, 0, 1}, {8, 16384}, {.gpus = test_gpus}},
    {"domain-base-gpu-later.xml", "base", {1, 512}, {4, 2048, 0, 2}, {.network = "none"}},
};

/* The domain of each shipped template is exactly what was reviewed. */
START_TEST(test_golden)
{
    const struct golden_case *c = &golden_cases[_i];
    g_autoptr(template_auto) template = shipped_template(c->template);
    struct boot_spec boot = test_boot(c->template);
    struct domain_plan plan = c->plan;
    g_autoptr(GError) error = NULL;
    boot.shape = c->shape;
    boot.maximum = c->maximum;
    plan.boot = &boot;
    plan.image_dir = "/images";
    g_autofree char *xml = domain_xml_build(template, &plan, &error);
    ck_assert_msg(xml != NULL, "%s", error != NULL ? error->message : "");
    golden_check(c->golden, xml);
}
END_TEST

static const struct {
    const char *text, *message;
} bad_templates[] = {
    {"<domain>\n<!DOCTYPE x>", "t.xml:2: "},
    {"<!DOCTYPE domain [<!ENTITY a \"b\">]>\n<domain>&a;</domain>", "t.xml:1: a document type is not accepted"},
    {"<!DOCTYPE domain SYSTEM \"http://127.0.0.1:1/x.dtd\">\n<domain/>", "a document type is not accepted"},
    {"\n<!DOCTYPE domain [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><domain>&x;</domain>",
     "t.xml:2: a document type is not accepted"},
    {"<domain>&undeclared;</domain>", "t.xml:1: Entity 'undeclared' not defined"},
    {"<network/>", "t.xml:1: the root element of a template is <domain>"},
    {"<domain>\n<name>", "t.xml:2: "},
    {"", "t.xml:1: "},
    {"<domain xmlns:h='urn:harbinger:template:1'>\n\n<h:template agnt='x'/></domain>",
     "t.xml:3: unknown knob \"agnt\"; there are agent, disk and disk_mib"},
    {"<domain xmlns:h='urn:harbinger:template:1'><h:template agent='ssh'/></domain>", "t.xml:1: agent is"},
    {"<domain xmlns:h='urn:harbinger:template:1'><h:template disk='big'/></domain>", "t.xml:1: disk is"},
    {"<domain xmlns:h='urn:harbinger:template:1'><h:template disk_mib='-1'/></domain>", "t.xml:1: disk_mib is"},
};

/* A template with entities, external references or a mistake is refused with file and line. */
START_TEST(test_bad_template)
{
    g_autoptr(GError) error = NULL;
    const char *text = bad_templates[_i].text;
    ck_assert_ptr_null(template_parse("t.xml", text, strlen(text), &error));
    ck_assert_int_eq(error->code, HBR_ERROR_INVALID);
    ck_assert_msg(strstr(error->message, bad_templates[_i].message) != NULL, "%s", error->message);
}
END_TEST

/* A template's name cannot leave the template directory. */
START_TEST(test_template_name)
{
    const char *const names[] = {"../base", "/etc/passwd", "a/b", ".hidden", ""};
    g_autofree char *directory = g_build_filename(g_getenv("HBR_SOURCE_DIR"), "templates", NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autoptr(GError) error = NULL;
        ck_assert_ptr_null(template_load(directory, names[i], &error));
        ck_assert_int_eq(error->code, HBR_ERROR_INVALID);
    }
    g_autoptr(GError) error = NULL;
    ck_assert_ptr_null(template_load(directory, "nonesuch", &error));
    ck_assert_int_eq(error->code, HBR_ERROR_NOT_FOUND);
}
END_TEST

/* A missing image is named, with the line of the template and how to make it. */
START_TEST(test_missing_image)
{
    g_autoptr(template_auto) template = shipped_template("base");
    const struct boot_spec boot = test_boot("base");
    const struct domain_plan plan = {.boot = &boot, .image_dir = "/nonexistent", .is_local = TRUE};
    g_autoptr(GError) error = NULL;
    ck_assert_ptr_null(domain_xml_build(template, &plan, &error));
    ck_assert_int_eq(error->code, HBR_ERROR_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(error->message, "/nonexistent/vmlinuz"));
    ck_assert_ptr_nonnull(strstr(error->message, "base.xml:"));
    ck_assert_ptr_nonnull(strstr(error->message, "contrib/guest-image/build"));
}
END_TEST

static const struct {
    const char *network, *gpu, *message;
} bad_hosts[] = {
    {"bridge", NULL, "network \"bridge\""},
    {"tap=x", NULL, "network \"tap=x\""},
    {"user=x", NULL, "network \"user=x\""},
    {NULL, "65:00", "GPU \"65:00\""},
};

/* What a host says of its network and GPUs is checked before libvirt sees it. */
START_TEST(test_bad_host)
{
    g_autoptr(template_auto) template = shipped_template("base");
    const struct boot_spec boot = test_boot("base");
    char *gpus[] = {(char *)bad_hosts[_i].gpu, NULL};
    const struct domain_plan plan = {.boot = &boot, .image_dir = "/x", .network = bad_hosts[_i].network, .gpus = gpus};
    g_autoptr(GError) error = NULL;
    ck_assert_ptr_null(domain_xml_build(template, &plan, &error));
    ck_assert_msg(strstr(error->message, bad_hosts[_i].message) != NULL, "%s", error->message);
}
END_TEST

/* The guest boots with little and with enough to keep book of what may be plugged in later, and never with more than it was given. */
START_TEST(test_boot_memory)
{
    const struct {
        guint template, shape, maximum, boot, requested;
    } cases[] = {
        {256, 512, 2048, 256, 256}, {256, 128, 128, 128, 0},  {256, 2048, 16384, 1024, 1024}, {256, 512, 16384, 512, 0},
        {256, 513, 2048, 256, 258}, {256, 255, 2048, 256, 0}, {512, 8192, 65536, 4096, 4096},
    };
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        const struct vm_shape shape = {.memory_mib = cases[i].shape}, maximum = {.memory_mib = cases[i].maximum};
        ck_assert_uint_eq(domain_boot_memory_mib(cases[i].template, &shape, &maximum), cases[i].boot);
        ck_assert_uint_eq(domain_requested_mib(cases[i].boot, &shape), cases[i].requested);
    }
}
END_TEST

static const char live_xml[] =
    "<domain type='qemu' id='3'><name>harbinger-vm-1</name><metadata>"
    "<other:instance xmlns:other='urn:other' id='no' owner='no'/>"
    "<harbinger:instance xmlns:harbinger='urn:harbinger:instance:1' id='vm-1' owner='me'/></metadata>"
    "<memory unit='KiB'>2097152</memory><vcpu placement='static' current='2'>4</vcpu>"
    "<cputune><global_period>20000</global_period><global_quota>10000</global_quota></cputune><devices>"
    "<interface type='bridge'><target dev='vnet3'/>"
    "<bandwidth><inbound average='1220'/><outbound average='1220'/></bandwidth></interface>"
    "<channel type='unix'><source mode='bind' path='/run/c/org.qemu.guest_agent.0'/>"
    "<target type='virtio' name='org.qemu.guest_agent.0'/></channel>"
    "<channel type='unix'><source mode='bind' path='/run/c/a.0'/><target type='virtio' name='a.0' state='connected'/></channel>"
    "<hostdev mode='subsystem' type='pci'><source>"
    "<address domain='0x0000' bus='0x65' slot='0x00' function='0x1'/></source></hostdev>"
    "<memory model='virtio-mem'><target><size unit='KiB'>1835008</size><requested unit='KiB'>262144</requested></target>"
    "<alias name='virtiomem0'/></memory></devices></domain>";

/* What a running domain is made of is read from its XML alone, so that a restarted daemon knows it too. */
START_TEST(test_live)
{
    g_autoptr(domain_live_auto) live = domain_live_parse(live_xml, "a.0", NULL);
    ck_assert_str_eq(live->channel_path, "/run/c/a.0");
    ck_assert_uint_eq(live->memory_size_mib, 1792);
    ck_assert_uint_eq(live->boot_memory_mib, 256);
    ck_assert_uint_eq(live->requested_mib, 256);
    ck_assert_uint_eq(live->vcpus, 2);
    ck_assert_uint_eq(live->vcpus_max, 4);
    ck_assert_str_eq(live->nic_device, "vnet3");
    ck_assert_uint_eq(live->network_mbps, 10);
    ck_assert_uint_eq(live->cpu_percent, 50);
    ck_assert_str_eq(live->gpus[0], "0000:65:00.1");
    ck_assert_ptr_null(live->gpus[1]);
    ck_assert_str_eq(live->instance_id, "vm-1");
    ck_assert_str_eq(live->owner, "me");
    g_autofree char *update = domain_memory_xml(live, 768);
    ck_assert_ptr_nonnull(strstr(update, "<requested unit=\"MiB\">768</requested>"));
    ck_assert_ptr_nonnull(strstr(update, "<alias name=\"virtiomem0\"/>"));
    ck_assert_ptr_nonnull(strstr(update, "<size unit=\"KiB\">1835008</size>"));
}
END_TEST

/* A domain without our metadata is nobody we know. */
START_TEST(test_live_foreign)
{
    g_autoptr(domain_live_auto) live = domain_live_parse(
        "<domain><metadata><instance id='a' owner='b'/></metadata><memory>1024</memory></domain>", "a.0", NULL);
    ck_assert_ptr_null(live->instance_id);
    ck_assert_ptr_null(live->owner);
    ck_assert_ptr_null(domain_live_parse("<domain", "a.0", NULL));
    char *id = NULL, *owner = NULL;
    ck_assert(!domain_metadata_parse("<instance id='a'/>", &id, &owner));
    ck_assert(!domain_metadata_parse("", &id, &owner));
    ck_assert(domain_metadata_parse("<instance id='a' owner='b'/>", &id, &owner));
    ck_assert_str_eq(id, "a");
    ck_assert_str_eq(owner, "b");
    g_free(id);
    g_free(owner);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("domain-xml");
    TCase *tests = tcase_create("all");
    tcase_add_loop_test(tests, test_golden, 0, G_N_ELEMENTS(golden_cases));
    tcase_add_loop_test(tests, test_bad_template, 0, G_N_ELEMENTS(bad_templates));
    tcase_add_loop_test(tests, test_bad_host, 0, G_N_ELEMENTS(bad_hosts));
    tcase_add_test(tests, test_template_name);
    tcase_add_test(tests, test_missing_image);
    tcase_add_test(tests, test_boot_memory);
    tcase_add_test(tests, test_live);
    tcase_add_test(tests, test_live_foreign);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
