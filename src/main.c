#include "cmd/root.h"

int main(int argc, char **argv)
{
	return cli_main(&lamassu_cli, argc, argv);
}
