/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* The one error domain of the project and the one table that gives each code its API error id, its HTTP
 * status and the exit status of the command line client. Any thread. */

#define HBR_ERROR hbr_error_quark()

enum hbr_error_code {
    HBR_ERROR_INTERNAL,      /* a defect of ours */
    HBR_ERROR_INVALID,       /* malformed or contradictory input; the message starts with where */
    HBR_ERROR_TOO_LARGE,     /* a size, depth or count over its bound */
    HBR_ERROR_NOT_FOUND,     /* no such object */
    HBR_ERROR_CONFLICT,      /* the object's state, or an object of that name, forbids it */
    HBR_ERROR_EXHAUSTED,     /* a limit of ours is reached; trying later may work */
    HBR_ERROR_UNAVAILABLE,   /* a host, guest or store does not answer */
    HBR_ERROR_UNSATISFIABLE, /* no host could ever serve this */
    HBR_ERROR_TIMEOUT,       /* a deadline passed */
    HBR_ERROR_CANCELLED,     /* somebody asked for it to stop */
    HBR_ERROR_INTERRUPTED,   /* the daemon or the VM died under it */
    HBR_ERROR_UNSUPPORTED,   /* this kind of host, image or build cannot do it */
    HBR_ERROR_DENIED,        /* not permitted */
    HBR_ERROR_STORE,         /* the database refused or could not be written */
    HBR_ERROR_HYPERVISOR,    /* libvirt or QEMU refused */
    HBR_ERROR_GUEST,         /* the agent in the guest refused or broke the protocol */
    HBR_ERROR_LAST
};

GQuark hbr_error_quark(void);

/* API id of a code, "not-found" for HBR_ERROR_NOT_FOUND. Unknown codes count as internal. Static string. */
const char *hbr_error_id(int code);

/* One short sentence for the code, for the title of a problem document. Static string. */
const char *hbr_error_title(int code);

guint hbr_error_http_status(int code);

/* Exit status of `harbinger` for the code (below 64, so that it cannot be mistaken for sysexits). */
int hbr_error_exit_status(int code);

/* Code of an API id, HBR_ERROR_INTERNAL when there is no such id. */
int hbr_error_code_of_id(const char *id);

/* As g_set_error with a code of HBR_ERROR, and as g_error_new. */
void hbr_error_set(GError **error, int code, const char *format, ...) G_GNUC_PRINTF(3, 4);
GError *hbr_error_new(int code, const char *format, ...) G_GNUC_PRINTF(2, 3);
