/* Lists of devices from other systems. The first byte chooses the format. Nothing stops the reader; what it accepts is
 * a valid entry, and is the same when it is written as CSV and read again. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "pki/device_import.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static struct device as_device(const struct device_entry *x)
{
	return (struct device){ .id = x->device, .dms = x->dms, .alias = x->alias, .icon = x->icon,
				.icon_color = x->icon_color, .tags = x->tags, .metadata = x->metadata };
}

/* A tag that has the separator in it cannot come back from CSV as it was. */
static bool plain_tags(const struct strv *tags)
{
	for (size_t i = 0; i < tags->n; i++)
		if (!*tags->v[i] || strpbrk(tags->v[i], ";|"))
			return false;
	return true;
}

static bool same(const char *x, const char *y)
{
	return (!x || !*x) ? (!y || !*y) : y && strcmp(x, y) == 0;
}

static void check_again(struct arena *a, const struct device_entry *x)
{
	SCOPED_BUF b = buf_init(BUF_BIG);
	struct device d = as_device(x);
	struct device_line *v = NULL;
	struct err e = { 0 };
	size_t n = 0;

	devices_csv_header(&b);
	devices_csv_line(a, &d, &b);
	assert(devices_read(a, DEVICES_CSV, buf_bytes(&b), &v, &n, &e) == 0 && n == 1 && !v[0].why);
	assert(strcmp(v[0].entry.device, x->device) == 0 && same(v[0].entry.alias, x->alias) &&
	       same(v[0].entry.dms, x->dms));
	assert(same(v[0].entry.icon, x->icon) && (!plain_tags(&x->tags) || v[0].entry.tags.n == x->tags.n));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	SCOPED_ARENA *a = arena_new();
	struct device_line *v = NULL;
	struct err e = { 0 };
	size_t lines = 0;

	if (n == 0)
		return 0;
	if (devices_read(a, data[0] & 1 ? DEVICES_JSON : DEVICES_CSV, (struct bytes){ data + 1, n - 1 }, &v, &lines,
			 &e) != 0) {
		assert(e.code == ERR_INVALID);
		return 0;
	}
	for (size_t i = 0; i < lines; i++)
		if (!v[i].why)
			check_again(a, &v[i].entry);
	return 0;
}
