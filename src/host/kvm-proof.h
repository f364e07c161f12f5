/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/host.h"

/* The memory of whether KVM works on this machine. FACTS: a /dev/kvm that opens and then hangs every guest exists, so what libvirt offers is
 * not believed until a guest was seen to boot; the verdict holds for one boot of the host. Any thread. */

#define KVM_PROOF_DEVICE "/dev/kvm"

/* The verdict of an earlier proof since this host booted, or ACCELERATION_TCG at once where `device` is missing or may not be opened.
 * `device` is NULL when guests do not run as this user: a system libvirt opens its own, and ours is hidden by systemd's PrivateDevices.
 * ACCELERATION_UNKNOWN: it is to be proven. *ret_reason is set otherwise; free it with g_free. */
enum acceleration kvm_proof_recall(const char *state_dir, const char *uri, const char *device, char **ret_reason);

/* Keeps the verdict; a failure to write costs only another proof. */
void kvm_proof_remember(const char *state_dir, const char *uri, enum acceleration verdict, const char *reason);
