/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "host/hypervisor.h"

/* The simulated hypervisor, on virtual time: modelled latency, capacity and faults behind the same interface as libvirt's. It has no thread
 * and reads no clock: the caller's `now` is its time, and the same seed and commands give the same events. No event is posted by
 * hypervisor_submit(); what is due at once comes with the next hypervisor_advance(), each event with `at` set to its modelled time.
 *
 * The URI is "sim:NAME?key=value&...", its keys are the members of struct sim_model (sim-model.h); what a program does is written in its
 * source, see sim-course.h. Samples are taken while something runs. Instances and saved states outlive COMMAND_HOST_DISCONNECT, but not
 * hypervisor_free().
 *
 * COMMAND_DESTROY takes the place of the answer of a boot, claim, pause or save under way. A claim that comes during a pause begins after it.
 * A claim or save that fails ends the instance; one that is refused because the instance is busy, or the host down, leaves it as it is. */

/* NULL with HBR_ERROR_INVALID when the URI is wrong; the message names the key. */
struct hypervisor *sim_hypervisor_new(const struct host_spec *spec, event_sink sink, gpointer sink_data,
                                      GError **error);
