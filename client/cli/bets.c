/* Why this file exists: the generator of made-up bets; see bets.h. Names are common ones of the Río de la Plata,
 * accents and ñ included, because that is where encodings break. */
#include "client/cli/bets.h"

#include <stdio.h>

#include "client/cli/value.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char *const first_names[] = {
    "Agustín",  "Alma",     "Ámbar",     "Amparo",   "Ángel",    "Bautista", "Belén",   "Benjamín",  "Camila",
    "Catalina", "Ciro",     "Delfina",   "Emanuel",  "Emilia",   "Esteban",  "Facundo", "Felipe",    "Guadalupe",
    "Ignacio",  "Íñigo",    "Isabella",  "Joaquín",  "Josefina", "Julián",   "Lautaro", "Lucía",     "Malena",
    "Martina",  "Mateo",    "Máximo",    "Milagros", "Nicolás",  "Noelia",   "Olivia",  "Pilar",     "Ramón",
    "Renata",   "Santiago", "Sebastián", "Sofía",    "Thiago",   "Tomás",    "Úrsula",  "Valentina", "Zoe",
};

static const char *const last_names[] = {
    "Acuña",   "Aguirre", "Álvarez",   "Benítez", "Cabrera", "Castro",    "Correa",   "Díaz",      "Domínguez",
    "Escobar", "Farías",  "Fernández", "Forneró", "Giménez", "Godoy",     "González", "Gutiérrez", "Hernández",
    "Herrera", "Ibáñez",  "Juárez",    "Ledesma", "Luna",    "Maldonado", "Martínez", "Méndez",    "Molina",
    "Muñoz",   "Núñez",   "Ojeda",     "Ortiz",   "Peralta", "Pérez",     "Quiroga",  "Ríos",      "Rodríguez",
    "Saldaña", "Sánchez", "Sosa",      "Toledo",  "Vázquez", "Vera",      "Yáñez",    "Zambrano",
};

uint64_t ftsi_random_next(struct ftsi_random *random)
{
	uint64_t z = random->state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

uint64_t ftsi_random_below(struct ftsi_random *random, uint64_t limit)
{
	uint64_t unfair = (UINT64_MAX - limit + 1) % limit; /* 2^64 mod limit values would come once too often */
	uint64_t value;

	do
		value = ftsi_random_next(random);
	while (value < unfair);
	return value % limit;
}

static const char *pick(struct ftsi_random *random, const char *const *names, size_t count)
{
	return names[ftsi_random_below(random, count)];
}

size_t ftsi_bet_make(struct ftsi_random *random, unsigned number, char *buf, size_t size_bytes)
{
	const char *first = pick(random, first_names, COUNT(first_names));
	const char *second = ftsi_random_below(random, 3) == 0 ? "" : pick(random, first_names, COUNT(first_names));
	const char *last = pick(random, last_names, COUNT(last_names));
	unsigned document = 21000000 + (unsigned)ftsi_random_below(random, 18000000);
	unsigned year = 1945 + (unsigned)ftsi_random_below(random, 60);
	unsigned month = 1 + (unsigned)ftsi_random_below(random, 12);
	unsigned day = 1 + (unsigned)ftsi_random_below(random, ftsi_month_days(year, month));
	int wrote = snprintf(buf, size_bytes, "%s%s%s,%s,%u,%04u-%02u-%02u,%u\r\n", first, *second ? " " : "", second,
			     last, document, year, month, day, number);

	return wrote > 0 ? (size_t)wrote : 0;
}

void ftsi_bets_divide(struct ftsi_random *random, uint64_t rows, size_t count, uint64_t *out_rows)
{
	uint64_t left = rows;

	for (size_t i = 0; i < count; i++) {
		uint64_t fair = left / (count - i);
		uint64_t share = i + 1 == count ? left : fair / 2 + (fair ? ftsi_random_below(random, fair + 1) : 0);
		out_rows[i] = share < left ? share : left;
		left -= out_rows[i];
	}
}
