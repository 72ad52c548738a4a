/* A place with one of K pieces of memory. Readers look at what is there within sections;
   writers replace it and use again what was taken out OVER periods before. A piece that
   is used again while a reader looks at it is the error.

     spin -DREADERS=1 -DLOOKS=3 -a grace.pml && gcc -O2 -DSAFETY -DCOLLAPSE -o pan pan.c && ./pan -m1000000
                                            all of it, 25 million states: no error
     spin -DROUNDS=1 -DLOOKS=3 -a grace.pml  two readers: not to the end; no error within three minutes
     spin -DOVER=2 -a grace.pml && ...      one period less: fails
     spin -DHASTY -a grace.pml && ...       the number is read before taking out: fails

   Counters are those of one stripe each; a look at them is not atomic. */
#ifndef OVER
#define OVER 3
#endif
#ifndef ROUNDS
#define ROUNDS 2
#endif
#define K 3
#ifndef READERS
#define READERS 2
#endif
#ifndef LOOKS
#define LOOKS 4
#endif
byte now = 0;               /* of the period */
byte in[4];                 /* stripe * 2 + parity */
byte there = 0;             /* the piece in the place */
bool held[6];               /* reader * K + piece */
byte state[K];              /* 0 fresh, 1 in the place, 2 taken out */
byte since[K];

active [READERS] proctype reader() {
  byte me = _pid; byte parity; byte piece; byte rounds = 0;
  do
  :: rounds == ROUNDS -> break
  :: else ->
     rounds++;
     parity = now & 1;
     in[me*2+parity]++;
     atomic { piece = there; held[me*K+piece] = 1 };
     held[me*K+piece] = 0;
     in[me*2+parity]--
  od
}

/* The writer holds the latch of the place: there is one. Two advance the periods, each at
   its own pace: one may have looked long before it says so. */
active proctype writer() {
  byte piece; byte old; byte rounds = 0; byte tag;
  state[0] = 1;
  do
  :: rounds == ROUNDS + 2 -> break
  :: else ->
     rounds++;
     piece = 255;
     if
     :: state[1] == 0 -> piece = 1
     :: state[2] == 0 -> piece = 2
     :: atomic { state[0] == 2 && now >= since[0] + OVER -> piece = 0 }
     :: atomic { state[1] == 2 && now >= since[1] + OVER -> piece = 1 }
     :: atomic { state[2] == 2 && now >= since[2] + OVER -> piece = 2 }
     :: timeout -> break
     fi;
     /* to be used again: nobody may be looking at it */
     assert(!held[piece] && !held[K+piece]);
     state[piece] = 1;
#ifdef HASTY
     tag = now;
#endif
     atomic { old = there; there = piece };
#ifndef HASTY
     tag = now;
#endif
     since[old] = tag;
     state[old] = 2
  od
}

active [2] proctype looker() {
  byte n; byte rounds = 0;
  do
  :: rounds == LOOKS -> break
  :: else ->
     rounds++;
     n = now;
     if
     :: in[(n+1)&1] == 0 -> if
        :: in[2+((n+1)&1)] == 0 -> atomic { if :: now == n -> now = n+1 :: else fi }
        :: else fi
     :: else
     fi
  od
}
