#pragma once
/* A record type that has a field of every kind, for the tests and fuzzers of rec/. */
#include "rec/schema.h"

enum sample_mode { MODE_DURATION, MODE_TIME, MODE_OFF };

struct sample_limits {
	int mode;
	struct dur duration;
	int64_t time;
};
struct sample_item {
	char *oid, *text;
};
struct sample {
	char *id, *note, *country;
	int64_t level, path_length;
	bool enabled, honest;
	int mode;
	unsigned usage;
	struct dur backdate;
	int64_t until;
	struct bytes seed;
	struct strv organization, tags;
	struct intv sizes;
	struct sample_limits limits;
	struct vec items;
	char *parent;
	struct strv friends;
	char *pin;
	char *metadata;
	char *status;
};

static const char *const sample_modes[] = { "Duration", "Time", "off", NULL };
static const char *const sample_usages[] = { "digital_signature", "key_encipherment", "cert_sign", NULL };
static const char *const sample_names[] = { "description", NULL };

static inline int sample_limits_check(struct arena *a, void *rec, struct err *e)
{
	const struct sample_limits *l = rec;

	(void)a;
	return l->mode == MODE_TIME && !l->time ? err_set(e, ERR_INVALID, "time: must be given") : 0;
}

static const struct field sample_limits_fields[] = {
	ENUM(sample_limits, mode, sample_modes, "What limits it.", .flags = F_REQ),
	DUR(sample_limits, duration, "For how long.", .min = 1, .max = 3153600000),
	TIME(sample_limits, time, "Until when."),
	END
};
static const struct schema sample_limits_type = {
	"limits", "limits", NULL, "Limits.", sizeof(struct sample_limits), sample_limits_fields, sample_limits_check
};
static const struct field sample_item_fields[] = {
	STR(sample_item, oid, "Dotted numbers.", .flags = F_REQ),
	STR(sample_item, text, "A text.", .dflt = "none"),
	END
};
static const struct schema sample_item_type = {
	"item", "items", NULL, "An item.", sizeof(struct sample_item), sample_item_fields, NULL
};
extern const struct schema sample_type;
static const struct field sample_fields[] = {
	STR(sample, id, "Identifier.", .flags = F_REQ | F_KEY | F_COL),
	STR(sample, note, "Any text. With two sentences.", .flags = F_COL, .aka = sample_names),
	STR(sample, country, "Two letters.", .dflt = "DE"),
	INT(sample, level, "A number.", .min = -5, .max = 100),
	INT(sample, path_length, "Length, -1 for none.", .dflt = "-1", .min = -1, .max = 10),
	BOOL(sample, enabled, "On or off.", .dflt = "true"),
	BOOL(sample, honest, "Always written.", .flags = F_SHOW0),
	ENUM(sample, mode, sample_modes, "How."),
	FLAGS(sample, usage, sample_usages, "What for."),
	DUR(sample, backdate, "How far back.", .dflt = "1m"),
	TIME(sample, until, "Until when."),
	BYTES(sample, seed, "Some bytes."),
	STRV(sample, organization, "One or more.", .flags = F_LAX),
	STRV(sample, tags, "Labels."),
	INTV(sample, sizes, "Sizes.", .min = 1, .max = 9999),
	OBJ(sample, limits, &sample_limits_type, "Its limits."),
	OBJV(sample, items, &sample_item_type, "Its items."),
	REF(sample, parent, &sample_type, "Its parent."),
	REFV(sample, friends, &sample_type, "Its friends.", .flags = F_LAX),
	STR(sample, pin, "A secret.", .flags = F_SECRET),
	ANY(sample, metadata, "Whatever."),
	STR(sample, status, "Computed.", .flags = F_OUT | F_COL),
	END
};
const struct schema sample_type = {
	"sample", "samples", "samples/%s.yaml", "A sample.", sizeof(struct sample), sample_fields, NULL
};
