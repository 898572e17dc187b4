#pragma once
#include "rec/schema.h"

/* The text of a ledger entry: one record as YAML, then PEM blocks or nothing. */
enum { ENTRY_MAX = 1 << 20 };

/* Reads the head; *ret_body, when not NULL, is what follows it. The result is that of rec_load on the head; heads in
 * the form that rec_emit gives records of scalars and lists cost a tenth of it, which a ledger of a million needs. */
int entry_load(struct arena *, const struct schema *, const char *file, struct bytes text, void *rec,
	       struct bytes *ret_body, struct err *) NODISCARD;
/* The fast half alone: false when the head is anything but plain; says nothing about whether it is valid. For tests. */
bool entry_load_plain(struct arena *, const struct schema *, struct bytes head, void *rec);
/* Is it a valid entry of its kind, under a name that goes with it? Entries of unknown kinds are. */
int entry_check(struct arena *, const char *path, struct bytes text, struct err *) NODISCARD;
/* A device's id as entries' names begin with it: all but letters, digits, '-' and '_' is percent-encoded; a long one is
 * cut, and ends with '~' and the beginning of the id's SHA-256. */
char *entry_device_label(struct arena *, const char *id);
/* File names begin with the serial number, or the device, so that git alone can tell what happened to it. */
int entry_check_name(const char *path, const char *label, struct err *) NODISCARD;
