/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/network.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <net/route.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static void copy_text(char *to, size_t size, struct wire_slice text)
{
    size_t length = text.size < size - 1 ? text.size : size - 1;
    if (length)
        memcpy(to, text.data, length);
    to[length] = '\0';
}

static bool find_interface(char *ret_name)
{
    DIR *interfaces = opendir("/sys/class/net");
    ret_name[0] = '\0';
    if (!interfaces)
        return false;
    for (struct dirent *entry; (entry = readdir(interfaces));) {
        if (entry->d_name[0] == '.' || strcmp(entry->d_name, "lo") == 0 || strlen(entry->d_name) >= IFNAMSIZ)
            continue;
        /* The first by name, so that the choice does not depend on the directory's order. */
        if (!ret_name[0] || strcmp(entry->d_name, ret_name) < 0)
            snprintf(ret_name, IFNAMSIZ, "%s", entry->d_name);
    }
    closedir(interfaces);
    if (!ret_name[0])
        errno = ENODEV;
    return ret_name[0] != '\0';
}

static struct ifreq request_for(const char *interface)
{
    struct ifreq request = {0};
    snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", interface);
    return request;
}

static bool set_flags(int fd, const char *interface, short set, short clear)
{
    struct ifreq request = request_for(interface);
    if (ioctl(fd, SIOCGIFFLAGS, &request) != 0)
        return false;
    request.ifr_flags = (short)((request.ifr_flags | set) & ~clear);
    return ioctl(fd, SIOCSIFFLAGS, &request) == 0;
}

static bool set_mac(int fd, const char *interface, struct wire_slice mac)
{
    struct ifreq request = request_for(interface);
    unsigned bytes[6];
    char text[24];
    copy_text(text, sizeof(text), mac);
    if (sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x", &bytes[0], &bytes[1], &bytes[2], &bytes[3], &bytes[4], &bytes[5]) !=
        6) {
        errno = EINVAL;
        return false;
    }
    request.ifr_hwaddr.sa_family = ARPHRD_ETHER;
    for (int i = 0; i < 6; i++)
        request.ifr_hwaddr.sa_data[i] = (char)bytes[i];
    set_flags(fd, interface, 0, IFF_UP);
    return ioctl(fd, SIOCSIFHWADDR, &request) == 0;
}

static bool parse_ipv4(const char *text, struct sockaddr *ret_address)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    if (inet_pton(AF_INET, text, &address.sin_addr) != 1) {
        errno = EINVAL;
        return false;
    }
    memcpy(ret_address, &address, sizeof(address));
    return true;
}

static bool set_address(int fd, const char *interface, char *text)
{
    struct ifreq request = request_for(interface), mask = request_for(interface);
    char *slash = strchr(text, '/');
    unsigned long bits = slash ? strtoul(slash + 1, NULL, 10) : 24;
    if (slash)
        *slash = '\0';
    if (bits > 32 || !parse_ipv4(text, &request.ifr_addr)) {
        errno = EINVAL;
        return false;
    }
    struct sockaddr_in netmask = {.sin_family = AF_INET};
    netmask.sin_addr.s_addr = bits ? htonl(UINT32_MAX << (32 - bits)) : 0;
    memcpy(&mask.ifr_netmask, &netmask, sizeof(netmask));
    return ioctl(fd, SIOCSIFADDR, &request) == 0 && ioctl(fd, SIOCSIFNETMASK, &mask) == 0;
}

static bool set_gateway(int fd, struct wire_slice gateway)
{
    struct rtentry route = {.rt_flags = RTF_UP | RTF_GATEWAY};
    struct sockaddr_in any = {.sin_family = AF_INET};
    char text[24];
    copy_text(text, sizeof(text), gateway);
    memcpy(&route.rt_dst, &any, sizeof(any));
    memcpy(&route.rt_genmask, &any, sizeof(any));
    if (!parse_ipv4(text, &route.rt_gateway))
        return false;
    return ioctl(fd, SIOCADDRT, &route) == 0 || errno == EEXIST;
}

static bool set_dns(struct wire_slice dns)
{
    char text[64], address[24];
    copy_text(address, sizeof(address), dns);
    int length = snprintf(text, sizeof(text), "nameserver %s\n", address);
    int fd = open("/etc/resolv.conf", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        return false;
    bool ok = write(fd, text, (size_t)length) == length;
    close(fd);
    return ok;
}

/* busybox's client; the reaper takes it when it ends. */
static bool start_dhcp(const char *interface)
{
    if (access("/bin/busybox", X_OK) != 0 && access("/usr/bin/busybox", X_OK) != 0) {
        errno = ENOENT;
        return false;
    }
    pid_t pid = fork();
    if (pid == 0) {
        execlp("busybox", "busybox", "udhcpc", "-i", interface, "-n", "-q", "-t", "5", "-T", "1", "-s",
               "/etc/udhcpc.script", (char *)NULL);
        _exit(127);
    }
    return pid > 0;
}

static bool configure(int fd, const char *interface, const struct wire_identity *request)
{
    char address[40];
    copy_text(address, sizeof(address), request->address);
    if (request->mac.size && !set_mac(fd, interface, request->mac))
        return false;
    if (!set_flags(fd, interface, IFF_UP, 0))
        return false;
    if (strcmp(address, "dhcp") == 0)
        return start_dhcp(interface);
    if (address[0] && !set_address(fd, interface, address))
        return false;
    if (request->gateway.size && !set_gateway(fd, request->gateway))
        return false;
    return request->dns.size == 0 || set_dns(request->dns);
}

bool network_configure(const struct wire_identity *request)
{
    char interface[IFNAMSIZ];
    copy_text(interface, sizeof(interface), request->interface);
    if (!interface[0] && !find_interface(interface))
        return false;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    bool ok = configure(fd, interface, request);
    int error = errno;
    close(fd);
    errno = error;
    return ok;
}

void network_start_loopback(void)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    set_flags(fd, "lo", IFF_UP, 0);
    close(fd);
}
