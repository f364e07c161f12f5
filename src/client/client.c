/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/error.h"
#include "client/problem.h"
#include "client/transfer.h"

#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/un.h>
#include <unistd.h>

#define CLIENT_TIMEOUT_MS 30000

static void client_init_curl(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

/* Splits the address into what libcurl needs. */
static bool client_set_address(struct hbr_client *client, struct hbr_error *error)
{
    const char *address = client->address;
    const char *path = g_str_has_prefix(address, "unix:") ? address + strlen("unix:") : address;
    if (path[0] == '/' && strlen(path) < sizeof((struct sockaddr_un *)NULL)->sun_path) {
        client->socket_path = g_strdup(path);
        client->url = g_strdup("http://localhost");
        return true;
    }
    if (g_str_has_prefix(address, "http://") && strlen(address) > strlen("http://")) {
        client->url = g_strdup(address);
        for (gsize length = strlen(client->url); client->url[length - 1] == '/'; length--)
            client->url[length - 1] = '\0';
        return true;
    }
    return problem_set(error, HBR_ERROR_INVALID,
                       "\"%s\" is not an address; right would be unix:/path/to/socket or http://host:port", address);
}

static char *client_default_address(void)
{
    const char *address = g_getenv("HARBINGER_URI");
    if (address != NULL && address[0] != '\0')
        return g_strdup(address);
    g_autofree char *own = g_build_filename(g_get_user_runtime_dir(), "harbinger", "harbinger.sock", NULL);
    if (geteuid() != 0 && g_file_test(own, G_FILE_TEST_EXISTS))
        return g_strconcat("unix:", own, NULL);
    return g_strdup("unix:" HBR_RUNDIR "/harbinger.sock");
}

struct hbr_client *hbr_client_new(const char *address, struct hbr_error *error)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, client_init_curl);
    struct hbr_client *client = g_new0(struct hbr_client, 1);
    client->address = address != NULL ? g_strdup(address) : client_default_address();
    client->timeout_ms = CLIENT_TIMEOUT_MS;
    client->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    client->multi = curl_multi_init();
    if (client->wake_fd < 0 || client->multi == NULL) {
        problem_set(error, HBR_ERROR_INTERNAL, "out of file descriptors or memory");
    } else if (client_set_address(client, error)) {
        return client;
    }
    hbr_client_free(client);
    return NULL;
}

void hbr_client_free(struct hbr_client *client)
{
    if (client == NULL)
        return;
    if (client->multi != NULL)
        curl_multi_cleanup(client->multi);
    if (client->wake_fd >= 0)
        close(client->wake_fd);
    g_free(client->address);
    g_free(client->url);
    g_free(client->socket_path);
    g_free(client);
}

const char *hbr_client_address(const struct hbr_client *client)
{
    return client->address;
}

void hbr_client_set_timeout(struct hbr_client *client, int64_t timeout_ms)
{
    client->timeout_ms = timeout_ms;
}

/* write() is async-signal-safe; a full counter is a request made already. */
void hbr_client_interrupt(struct hbr_client *client)
{
    const uint64_t one = 1;
    const ssize_t ignored = write(client->wake_fd, &one, sizeof one);
    (void)ignored;
}

const char *hbr_library_version(void)
{
    return PACKAGE_VERSION;
}

char *hbr_escape(const char *text)
{
    return g_uri_escape_string(text, NULL, FALSE);
}
