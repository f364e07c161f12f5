/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/quantity.h"

#include "base/error.h"

#include <math.h>
#include <string.h>

struct quantity_unit {
    const char *name;
    double factor;
};

enum { QUANTITY_UNITS_MAX = 5 };

/* Units from the smallest up. What is written without one is marked by `is_bare`. */
static const struct quantity_kind {
    const char *what;
    const char *units_text;
    const char *example;
    struct quantity_unit units[QUANTITY_UNITS_MAX];
    gboolean is_bare;
} quantity_table[] = {
    [QUANTITY_NUMBER] = {"a number", NULL, "1.5", {{"", 1}}, TRUE},
    [QUANTITY_COUNT] = {"a whole number", NULL, "4", {{"", 1}}, TRUE},
    [QUANTITY_MEMORY] = {"a size", "MiB, GiB, TiB", "2 GiB", {{"MiB", 1}, {"GiB", 1024}, {"TiB", 1048576}}},
    [QUANTITY_BYTES] = {"a size",
                        "B, KiB, MiB, GiB, TiB",
                        "64 MiB",
                        {{"B", 1}, {"KiB", 1024}, {"MiB", 1048576}, {"GiB", 1073741824}, {"TiB", 1099511627776.0}}},
    [QUANTITY_RATE] = {"a rate",
                       "kbit/s, Mbit/s, Gbit/s",
                       "10 Mbit/s",
                       {{"kbit/s", 0.001}, {"Mbit/s", 1}, {"Gbit/s", 1000}}},
    [QUANTITY_THROUGHPUT] = {"a rate", "MB/s, GB/s", "50 MB/s", {{"MB/s", 1}, {"GB/s", 1000}}},
    [QUANTITY_DURATION] = {"a duration",
                           "ms, s, min, h, d",
                           "30 s",
                           {{"ms", 1}, {"s", 1000}, {"min", 60000}, {"h", 3600000}, {"d", 86400000}}},
    [QUANTITY_SHARE] = {"a share", "%", "90 %", {{"%", 0.01}}, TRUE},
    [QUANTITY_PERCENT] = {"a percentage", "%", "150 %", {{"%", 1}}},
};

const char *quantity_units(enum quantity quantity)
{
    return quantity_table[quantity].units_text;
}

static gboolean quantity_fail(enum quantity quantity, const char *text, const char *why, GError **error)
{
    const struct quantity_kind *kind = &quantity_table[quantity];
    const gboolean has_units = kind->units_text != NULL;
    hbr_error_set(error, HBR_ERROR_INVALID, "is \"%.64s\"%s; right would be %s such as \"%s\"%s%s%s", text, why,
                  kind->what, kind->example, has_units ? " (units: " : "", has_units ? kind->units_text : "",
                  has_units ? ")" : "");
    return FALSE;
}

static const struct quantity_unit *quantity_find_unit(const struct quantity_kind *kind, const char *name)
{
    for (guint i = 0; i < QUANTITY_UNITS_MAX && kind->units[i].name != NULL; i++)
        if (strcmp(kind->units[i].name, name) == 0)
            return &kind->units[i];
    return NULL;
}

/* Plain decimal numbers alone: strtod would take "inf", "nan" and hexadecimal too. */
static gboolean quantity_is_decimal(const char *text, const char *end)
{
    return end > text && strspn(text, "+-.0123456789eE") >= (gsize)(end - text);
}

static double quantity_of_amount(const struct quantity_unit *unit, double amount)
{
    return unit->factor < 1 ? amount / round(1 / unit->factor) : amount * unit->factor;
}

gboolean quantity_parse(enum quantity quantity, const char *text, double *ret_value, GError **error)
{
    const struct quantity_kind *kind = &quantity_table[quantity];
    char *end = NULL;
    double value = g_ascii_strtod(text, &end);
    if (!quantity_is_decimal(text, end) || !isfinite(value))
        return quantity_fail(quantity, text, "", error);
    const char *name = end;
    while (*name == ' ')
        name++;
    if (*name != '\0' || !kind->is_bare) {
        const struct quantity_unit *unit = quantity_find_unit(kind, name);
        if (unit == NULL)
            return quantity_fail(quantity, text, *name == '\0' ? ", without a unit" : "", error);
        value = quantity_of_amount(unit, value);
    }
    if (quantity == QUANTITY_COUNT && value != floor(value))
        return quantity_fail(quantity, text, "", error);
    *ret_value = value;
    return TRUE;
}

/* The largest unit in which the value is whole; the smallest when there is none. */
static const struct quantity_unit *quantity_best_unit(const struct quantity_kind *kind, double value)
{
    const struct quantity_unit *best = &kind->units[0];
    for (guint i = 1; i < QUANTITY_UNITS_MAX && kind->units[i].name != NULL; i++)
        if (fmod(value, kind->units[i].factor) == 0 && (value != 0 || kind->units[i].factor == 1))
            best = &kind->units[i];
    return best;
}

/* The shortest decimal amount that gives the value back. */
static char *quantity_format_amount(const struct quantity_unit *unit, double value)
{
    const double amount = unit->factor < 1 ? value * round(1 / unit->factor) : value / unit->factor;
    if (amount == floor(amount) && fabs(amount) < 1e15)
        return g_strdup_printf("%.0f", amount);
    char buffer[G_ASCII_DTOSTR_BUF_SIZE];
    for (int digits = 1; digits < 17; digits++) {
        g_autofree char *format = g_strdup_printf("%%.%dg", digits);
        g_ascii_formatd(buffer, sizeof buffer, format, amount);
        if (quantity_of_amount(unit, g_ascii_strtod(buffer, NULL)) == value)
            return g_strdup(buffer);
    }
    return g_strdup(g_ascii_dtostr(buffer, sizeof buffer, amount));
}

char *quantity_format(enum quantity quantity, double value)
{
    const struct quantity_kind *kind = &quantity_table[quantity];
    const struct quantity_unit *unit = quantity_best_unit(kind, value);
    g_autofree char *number = quantity_format_amount(unit, value);
    return g_strconcat(number, *unit->name != '\0' ? " " : "", unit->name, NULL);
}
