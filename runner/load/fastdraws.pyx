# cython: language_level=3, cdivision=True
"""`draw`, `below`, `text` and `uuid` of `runner.core.draws`, compiled; that module documents what they do.

Optional. `runner.load.drawing` takes the functions in Python where this was not compiled.
"""

cdef extern from *:
    """
    static inline unsigned long long scaled(unsigned long long number, unsigned long long size) {
        return (unsigned long long)(((unsigned __int128)number * size) >> 64);
    }
    """
    unsigned long long scaled(unsigned long long number, unsigned long long size) noexcept nogil

from libc.stdio cimport snprintf

cdef enum:
    CHARACTERS_PER_DRAW = 8
    UUID_LENGTH = 36


cdef inline unsigned long long number_at(unsigned long long key, unsigned long long n) noexcept nogil:
    cdef unsigned long long z = key + (n + 1) * 0x9E3779B97F4A7C15ULL
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL
    return z ^ (z >> 31)


def draw(unsigned long long key, unsigned long long n):
    return number_at(key, n)


def below(unsigned long long key, unsigned long long n, unsigned long long size):
    return scaled(number_at(key, n), size)


def text(unsigned long long key, unsigned long long n, int length, alphabet):
    cdef unsigned long long number = 0, size = len(alphabet)
    cdef unsigned long long index = n * ((length + CHARACTERS_PER_DRAW - 1) // CHARACTERS_PER_DRAW)
    cdef int place
    characters = []
    for place in range(length):
        if place % CHARACTERS_PER_DRAW == 0:
            number = number_at(key, index)
            index += 1
        characters.append(alphabet[<Py_ssize_t>scaled(number, size)])
        number *= size
    return "".join(characters)


def uuid(unsigned long long key, unsigned long long n):
    cdef char written[UUID_LENGTH + 1]
    cdef unsigned long long high = number_at(key, 2 * n), low = number_at(key, 2 * n + 1)
    snprintf(
        written, sizeof(written), b"%08llx-%04llx-%04llx-%04llx-%012llx",
        high >> 32, (high >> 16) & 0xFFFF, (high & 0x0FFF) | 0x4000,
        ((low >> 48) & 0x3FFF) | 0x8000, low & 0xFFFFFFFFFFFFULL,
    )
    return written[:UUID_LENGTH].decode("ascii")
