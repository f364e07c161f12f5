/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/kvm-proof.h"

#include "base/log.h"

#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#define BOOT_ID_FILE "/proc/sys/kernel/random/boot_id"

/* One file for each URI: the boot id, the verdict and the reason, a line each. */
static char *proof_path(const char *state_dir, const char *uri)
{
    g_autofree char *hash = g_compute_checksum_for_string(G_CHECKSUM_SHA256, uri, -1);
    g_autofree char *file = g_strdup_printf("kvm-proof-%.12s", hash);
    return g_build_filename(state_dir, file, NULL);
}

static char *boot_id(void)
{
    char *text = NULL;
    return g_file_get_contents(BOOT_ID_FILE, &text, NULL, NULL) ? g_strstrip(text) : g_strdup("");
}

static enum acceleration proof_read(const char *state_dir, const char *uri, char **ret_reason)
{
    g_autofree char *path = proof_path(state_dir, uri);
    g_autofree char *text = NULL;
    g_autofree char *boot = boot_id();
    if (!g_file_get_contents(path, &text, NULL, NULL))
        return ACCELERATION_UNKNOWN;
    g_auto(GStrv) lines = g_strsplit(text, "\n", 3);
    if (g_strv_length(lines) != 3 || strcmp(lines[0], boot) != 0)
        return ACCELERATION_UNKNOWN;
    const int verdict = codec_value(&acceleration_words, lines[1]);
    if (verdict != ACCELERATION_KVM && verdict != ACCELERATION_TCG)
        return ACCELERATION_UNKNOWN;
    *ret_reason = g_strdup_printf("%s (remembered since this host's boot)", g_strstrip(lines[2]));
    return (enum acceleration)verdict;
}

enum acceleration kvm_proof_recall(const char *state_dir, const char *uri, const char *device, char **ret_reason)
{
    if (device != NULL && g_access(device, F_OK) != 0) {
        *ret_reason = g_strdup_printf("there is no %s", device);
        return ACCELERATION_TCG;
    }
    if (device != NULL && g_access(device, R_OK | W_OK) != 0) {
        *ret_reason = g_strdup_printf("%s may not be opened by this user", device);
        return ACCELERATION_TCG;
    }
    return proof_read(state_dir, uri, ret_reason);
}

void kvm_proof_remember(const char *state_dir, const char *uri, enum acceleration verdict, const char *reason)
{
    g_autofree char *path = proof_path(state_dir, uri);
    g_autofree char *boot = boot_id();
    g_autofree char *text = g_strdup_printf("%s\n%s\n%s\n", boot, codec_word(&acceleration_words, verdict), reason);
    g_autoptr(GError) error = NULL;
    g_mkdir_with_parents(state_dir, 0750);
    if (!g_file_set_contents(path, text, -1, &error))
        log_warning("host", "the proof of KVM is not remembered: %s", error->message);
}
