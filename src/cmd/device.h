#pragma once
#include "cli/cli.h"
#include "model/device.h"

extern const struct cmd device_cmd; /* the noun `device` */
/* Verbs, by file. */
/* device_new.c */
extern const struct cmd device_register_cmd, device_set_cmd, device_metadata_cmd;
/* device_io.c */
extern const struct cmd device_import_cmd, device_export_cmd;
/* device_life.c */
extern const struct cmd device_decommission_cmd, device_delete_cmd, device_compromise_cmd, device_unblock_cmd;
/* device_group.c */
extern const struct cmd device_group_cmd;
/* device_bootstrap.c */
extern const struct cmd device_bootstrap_cmd;
/* device_enroll.c */
extern const struct cmd device_enroll_cmd, device_renew_cmd;
/* device_psk.c */
extern const struct cmd device_psk_cmd;

struct device_ref { /* args of verbs that take only a device */
	const char *device;
};
extern const struct operand device_operand[];
/* A device as `device show` prints it, after a commit. */
int device_print(struct ctx *, const char *id, struct err *) NODISCARD;
/* A page of devices, or all of them without memory. */
int device_print_query(struct ctx *, const struct query *, struct err *) NODISCARD;
/* The user's query with more filters; a bookmark carries them already. */
struct query device_query_with(struct ctx *, const struct filter *, size_t n);
/* The rules of a group beside its table. */
int group_check(struct ctx *, const void *group, struct err *) NODISCARD;
/* Numbers of what passes the filters, as `device stats` prints them. */
int device_print_stats(struct ctx *, const struct query *, struct err *) NODISCARD;
