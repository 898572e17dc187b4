#pragma once
#include "model/device.h"

/* Lists of devices from files: CSV (RFC 4180, with a header) or JSON (an array, {"list": […]}, or one object after the
 * other). */
enum device_format { DEVICES_CSV, DEVICES_JSON };
struct device_line {
	size_t line;               /* where it begins, from 1 */
	struct device_entry entry; /* device, dms, alias, tags, metadata, icon, icon_color */
	const char *why;           /* not NULL: what is wrong with it */
};
enum { DEVICES_MAX_BYTES = 1 << 28 };
/* ERR_INVALID when the file as a whole cannot be read; a bad line is one of the result. */
int devices_read(struct arena *, enum device_format, struct bytes text, struct device_line **ret, size_t *ret_n,
		 struct err *) NODISCARD;
/* The same, written; CSV needs the header first. */
void devices_csv_header(struct buf *out);
void devices_csv_line(struct arena *, const struct device *, struct buf *out);
/* What a device's JSON object holds. */
extern const struct schema device_doc_type;
struct device_doc {
	char *id, *dms, *alias, *icon, *icon_color, *metadata, *ignored;
	struct strv tags;
};
