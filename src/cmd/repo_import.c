/* `repo import`: moving here in one command. */
#include <string.h>

#include "cmd/repo.h"
#include "pki/repo_import.h"

struct import_args {
	const char *dir, *ca, *profile, *engine;
	int from;
};
static const char *const kinds[] = { "openssl", "easyrsa", "cfssl", NULL };

static int run_import(struct ctx *ctx, void *args, struct err *e)
{
	const struct import_args *a = args;
	struct import_order o = { .dir = a->dir, .ca = a->ca, .profile = a->profile, .engine = a->engine };
	struct imported done;

	if (a->from < 0)
		return err_set(e, ERR_USAGE, "say what keeps the authority there: --from openssl, easyrsa or cfssl");
	for (const struct foreign_kind *k = foreign_kinds; k->name; k++)
		if (strcmp(k->name, kinds[a->from]) == 0)
			o.from = k;
	if (repo_import(ctx, &o, &done, e) != 0)
		return -1;
	return out_record(ctx, &imported_type, &done, e);
}

static const struct opt import_opts[] = {
	OENUM(import_args, from, 0, kinds, "What keeps the authority there: openssl (openssl ca), easyrsa or cfssl."),
	OSTR(import_args, ca, 0, "id", "The authority's id here. Default: made from its common name."),
	OSTR(import_args, profile, 0, "profile", "Default profile for what it issues; noted on what it has issued."),
	OSTR(import_args, engine, 'e', "engine", "Engine that takes the key. Default: the repository's default "
						 "engine."),
	OEND
};
static const struct operand import_operands[] = { PARAM(import_args, dir, "dir", "Where it is."), { 0 } };

const struct cmd repo_import_cmd = {
	.name = "import", .brief = "Take over an authority with its past", .opts = import_opts,
	.operands = import_operands,
	.argsize = sizeof(struct import_args), .needs = NEED_STATE | NEED_WRITE, .run = run_import,
	.type = &imported_type,
	.doc = "Imports the authority with its key, every certificate that it issued, every revocation with its time "
	       "and reason, and the last CRL number, in one commit. Nothing in the other folder is changed.\n\n"
	       "openssl: a folder of `openssl ca`, found through its openssl.cnf or by the usual names (cacert.pem, "
	       "private/cakey.pem, index.txt, newcerts). easyrsa: a folder of easy-rsa 3, or its pki. cfssl: the "
	       "folder with ca.pem, ca-key.pem and the SQLite database of certificates. A passphrase of the key is "
	       "asked for, or taken from LAMASSU_IMPORT_PASSPHRASE.",
	.example = "lamassu repo import --from easyrsa /etc/openvpn/easy-rsa --profile tls-server\n"
		   "lamassu repo import --from openssl /root/ca --ca old-root"
};
