/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "../drive.h"

#include "base/clock.h"
#include "base/error.h"

#include <libvirt/libvirt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What only a system libvirt can do: cap CPU time, limit a NIC both ways; and that KVM is not believed before a guest was seen to boot
 * with it. */

#define OWNER "test-limits"
#define BRIDGE "hbrtest0"

static struct drive *drive;
static virConnectPtr libvirt;

static const struct vm_shape small = {.vcpus = 2, .memory_mib = 512, .network_mbps = 10, .cpu_percent = 50};
static const struct vm_shape large = {.vcpus = 4, .memory_mib = 2048, .network_mbps = 100};

static gint64 quota_of(const char *name)
{
    virTypedParameter parameters[16];
    int count = G_N_ELEMENTS(parameters);
    long long quota = 0;
    virDomainPtr domain = virDomainLookupByName(libvirt, name);
    if (domain == NULL || virDomainGetSchedulerParametersFlags(domain, parameters, &count, VIR_DOMAIN_AFFECT_LIVE) < 0)
        return 0;
    virTypedParamsGetLLong(parameters, count, VIR_DOMAIN_SCHEDULER_GLOBAL_QUOTA, &quota);
    virTypedParamsClear(parameters, count);
    virDomainFree(domain);
    return quota;
}

/* KiB/s as libvirt has it for the first NIC. */
static void bandwidth_of(const char *name, guint *ret_in, guint *ret_out)
{
    virTypedParameter parameters[16];
    int count = G_N_ELEMENTS(parameters);
    virDomainPtr domain = virDomainLookupByName(libvirt, name);
    *ret_in = *ret_out = 0;
    if (domain == NULL ||
        virDomainGetInterfaceParameters(domain, "vnet0", parameters, &count, VIR_DOMAIN_AFFECT_LIVE) < 0)
        return;
    virTypedParamsGetUInt(parameters, count, VIR_DOMAIN_BANDWIDTH_IN_AVERAGE, ret_in);
    virTypedParamsGetUInt(parameters, count, VIR_DOMAIN_BANDWIDTH_OUT_AVERAGE, ret_out);
    virTypedParamsClear(parameters, count);
    virDomainFree(domain);
}

static gboolean run_tool(const char *line)
{
    int status = -1;
    return g_spawn_command_line_sync(line, NULL, NULL, &status, NULL) && status == 0;
}

/* The limits of the first shape are there from the start. */
static gboolean test_start(void)
{
    guint in, out;
    REQUIRE(drive_start(drive, "vm-l", "base", &small, &large));
    REQUIRE(quota_of("harbinger-vm-l") == 10000);
    bandwidth_of("harbinger-vm-l", &in, &out);
    REQUIRE(in == 1220 && out == 1220);
    return TRUE;
}

static double busiest(const char *id, const char *execution, guint looks)
{
    double most = 0;
    drive_forget(drive, EVENT_SAMPLE);
    drive_run(drive, id, execution, "sh", "while :; do :; done & while :; do :; done");
    for (guint i = 0; i < looks; i++) {
        g_autoptr(event_auto) event = drive_wait(drive, EVENT_SAMPLE, id, 5000);
        if (event != NULL && i > 0)
            most = MAX(most, event->sample->cpu_used);
    }
    drive_cancel(drive, id, execution);
    run_result_free(drive_collect(drive, execution, NULL, 10000));
    return most;
}

/* CPU time stays below its cap. */
static gboolean test_cap(void)
{
    const double used = busiest("vm-l", "exec-cap", 4);
    printf("    two busy tasks under a cap of 50 %%: %.2f CPUs\n", used);
    REQUIRE(used > 0.2 && used < 0.75);
    return TRUE;
}

/* Limits go down as they go up, and vCPUs that the guest keeps offline are not taken out of QEMU. */
static gboolean lower(void)
{
    guint in, out;
    const struct vm_shape shape = {.vcpus = 1, .memory_mib = 512, .network_mbps = 10, .cpu_percent = 50};
    drive_shape(drive, "vm-l", &shape);
    g_autoptr(event_auto) shaped = drive_wait(drive, EVENT_INSTANCE_SHAPED, "vm-l", 20000);
    REQUIRE(shaped != NULL && shaped->error == NULL && vm_shape_equal(&shaped->shape, &shape));
    REQUIRE(quota_of("harbinger-vm-l") == 10000);
    bandwidth_of("harbinger-vm-l", &in, &out);
    REQUIRE(in == 1220 && out == 1220);
    virDomainPtr domain = virDomainLookupByName(libvirt, "harbinger-vm-l");
    const int plugged = domain == NULL ? 0 : virDomainGetVcpusFlags(domain, VIR_DOMAIN_AFFECT_LIVE);
    virDomainFree(domain);
    REQUIRE(plugged == 2);
    return TRUE;
}

/* Waits for what libvirt is told when nobody waits for it. */
static gboolean quota_becomes(const char *name, gint64 quota)
{
    const gint64 until = g_get_monotonic_time() + 10 * G_USEC_PER_SEC;
    gint64 now;
    while ((now = MAX(quota_of(name), 0)) != quota && g_get_monotonic_time() < until)
        g_poll(NULL, 0, 20);
    return now == quota;
}

/* A guest that has just been given CPUs may refuse to give them back for a moment: it is asked again. */
static gboolean shape_to(guint vcpus)
{
    const struct vm_shape shape = {.vcpus = vcpus, .memory_mib = 512, .network_mbps = 10};
    const gint64 until = g_get_monotonic_time() + 10 * G_USEC_PER_SEC;
    for (;;) {
        drive_shape(drive, "vm-l", &shape);
        g_autoptr(event_auto) shaped = drive_wait(drive, EVENT_INSTANCE_SHAPED, "vm-l", 20000);
        REQUIRE(shaped != NULL);
        if (shaped->error == NULL)
            return shaped->shape.vcpus == vcpus && shaped->shape.cpu_percent == 0;
        REQUIRE(shaped->error->code == HBR_ERROR_CONFLICT && g_get_monotonic_time() < until);
        g_poll(NULL, 0, 50);
    }
}

/* Without a cap, vCPUs that the guest keeps offline are held down by a quota until it is asked for them again. */
static gboolean bound_offline(void)
{
    REQUIRE(shape_to(2) && quota_becomes("harbinger-vm-l", 0));
    REQUIRE(shape_to(1) && quota_becomes("harbinger-vm-l", 25000));
    REQUIRE(shape_to(2) && quota_becomes("harbinger-vm-l", 0));
    return TRUE;
}

/* The caps are lifted and the bandwidth is raised while it runs, both ways. */
static gboolean test_raise(void)
{
    guint in, out;
    const struct vm_shape shape = {.vcpus = 2, .memory_mib = 512, .network_mbps = 40, .cpu_percent = 150};
    const gint64 since = g_get_monotonic_time();
    drive_shape(drive, "vm-l", &shape);
    g_autoptr(event_auto) shaped = drive_wait(drive, EVENT_INSTANCE_SHAPED, "vm-l", 20000);
    printf("    quota and bandwidth: %.1f ms\n", (double)(g_get_monotonic_time() - since) / 1000);
    REQUIRE(shaped != NULL && shaped->error == NULL && vm_shape_covers(&shaped->shape, &shape));
    REQUIRE(shaped->shape.network_mbps == 40 && shaped->shape.cpu_percent == 150);
    REQUIRE(quota_of("harbinger-vm-l") == 30000);
    bandwidth_of("harbinger-vm-l", &in, &out);
    REQUIRE(in == 4882 && out == 4882);
    drive_shape(drive, "vm-l", &(struct vm_shape){.vcpus = 2, .memory_mib = 512, .network_mbps = 40});
    g_autoptr(event_auto) lifted = drive_wait(drive, EVENT_INSTANCE_SHAPED, "vm-l", 20000);
    REQUIRE(lifted != NULL && lifted->error == NULL && quota_of("harbinger-vm-l") <= 0);
    REQUIRE(lower());
    REQUIRE(bound_offline());
    REQUIRE(drive_destroy(drive, "vm-l"));
    return TRUE;
}

/* KVM is used when a guest was seen to boot with it, and the verdict is remembered until the host boots again. */
static gboolean test_kvm_proof(void)
{
    g_autofree char *state_dir = g_strdup(drive->state_dir);
    drive_free(drive);
    gint64 since = g_get_monotonic_time();
    drive = drive_new("none", OWNER, ACCELERATION_UNKNOWN, state_dir);
    const gint64 proof_ms = (g_get_monotonic_time() - since) / 1000;
    REQUIRE(drive != NULL);
    const enum acceleration first = drive->up->host_report->acceleration;
    printf("    %s: %s (%" G_GINT64_FORMAT " ms)\n", codec_word(&acceleration_words, first),
           drive->up->host_report->acceleration_reason, proof_ms);
    REQUIRE(first == ACCELERATION_KVM || first == ACCELERATION_TCG);
    REQUIRE(drive_start(drive, "vm-v", "base", &(struct vm_shape){1, 512}, &(struct vm_shape){1, 512}));
    REQUIRE(drive_destroy(drive, "vm-v"));
    drive_free(drive);
    since = g_get_monotonic_time();
    drive = drive_new("none", OWNER, ACCELERATION_UNKNOWN, state_dir);
    REQUIRE(drive != NULL && drive->up->host_report->acceleration == first);
    REQUIRE((g_get_monotonic_time() - since) / 1000 < 3000);
    return TRUE;
}

/* At the end nothing of ours is left. */
static gboolean test_nothing_left(void)
{
    for (guint i = 0; i < 300 && virConnectNumOfDomains(libvirt) > 0; i++)
        event_free(drive_wait(drive, EVENT_HOST_DOWN, NULL, 100));
    REQUIRE(virConnectNumOfDomains(libvirt) == 0 && virConnectNumOfDefinedDomains(libvirt) == 0);
    return TRUE;
}

static const struct drive_case cases[] = {
    {"start", test_start},
    {"cap", test_cap},
    {"raise", test_raise},
    {"kvm-proof", test_kvm_proof},
    {"nothing-left", test_nothing_left},
};

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (!run_tool("ip link add " BRIDGE " type bridge") || !run_tool("ip link set " BRIDGE " up")) {
        printf("no bridge can be made here\n");
        return 77;
    }
    drive = drive_new("bridge=" BRIDGE, OWNER, ACCELERATION_TCG, NULL);
    libvirt = virConnectOpen(g_getenv("HBR_LIBVIRT_URI"));
    if (drive == NULL || libvirt == NULL)
        return EXIT_FAILURE;
    const int status = drive_run_cases(cases, G_N_ELEMENTS(cases), &drive, argc, argv);
    drive_free(drive);
    virConnectClose(libvirt);
    return status;
}
