/* The word, the line and the ticket of one latch: N callers, one coordinator,
   withdrawals that are dropped from the line by a note of their own whether or
   not the latch is held. Every caller is answered and the word comes back to 0.

     spin -a line.pml && gcc -O2 -o pan pan.c && ./pan -m200000
     spin -DN=3 -DR=1 -a line.pml && ...        three callers
     spin -DNOMARK -a line.pml && ...           without the coordinator's own mark: fails */
#ifndef N
#define N 2
#endif
#ifndef R
#define R 2
#endif
#define LEFT 16
byte holder = 0;      /* 0 free, 1..N caller, 9 coordinator */
bool waited = 0;
byte inside = 0;
byte tick[N+1];       /* 0 none 1 queued 2 claimed 3 withdrawn 4 done */
chan inbox = [10] of { byte };  /* 1..N call, LEFT+n withdrawn, 0 released */
chan line = [8] of { byte };
byte ran[N+1];
byte finished = 0;
bool short_[N+1];

inline enter() { inside++; assert(inside == 1) }
inline leave() { inside-- }
inline rel(me) {
  atomic { assert(holder == me); holder = 0; w = waited }
  if :: w -> inbox!0 :: else fi
}
active [N] proctype caller() {
  byte me = _pid + 1; bool w; byte rounds = 0;
  do
  :: rounds == R -> break
  :: else ->
    rounds++;
    if :: short_[me] = 1 :: short_[me] = 0 fi;
    /* claim or mark, then the note; the mutex of the inbox only orders them more strictly */
    atomic { if
      :: holder == 0 && !waited -> holder = me; w = 0
      :: else -> waited = 1; w = 1 fi }; if :: w -> tick[me] = 1; inbox!me :: else fi
    if
    :: !w -> enter(); ran[me]++; leave(); rel(me)
    :: else ->
       if
       :: atomic { me == 1 && tick[me] == 1 -> tick[me] = 3 }; inbox!(LEFT+me); break   /* withdrawn: this call is never used again */
       :: (tick[me] == 4) -> skip
       fi;
       if :: !short_[me] -> enter(); ran[me]++; leave(); rel(me) :: else fi;
       tick[me] = 0
    fi
  od;
  finished++
}
inline emptied() { if :: len(line) == 0 -> atomic { waited = 0 } :: else fi }
active proctype coordinator() {
  byte k; bool got; bool w;
end:
  do
  :: inbox?k ->
     if
     :: k == 0 -> emptied()
     :: k >= LEFT -> k = k - LEFT;
        if :: line??[eval(k)] -> line??eval(k) :: else fi; emptied()
     :: else ->
        if :: tick[k] == 3 -> emptied()
           :: else -> line!k; 
#ifndef NOMARK
              atomic { waited = 1 }
#else
              skip
#endif
        fi
     fi;
     if :: len(line) > 0 ->
       atomic { if :: holder == 0 && waited -> holder = 9; got = 1 :: else -> got = 0 fi };
       if :: got ->
         do
         :: len(line) == 0 -> atomic { waited = 0 }; atomic { assert(holder == 9); holder = 0 }; break
         :: else -> line?k;
            atomic { if :: tick[k] == 1 -> tick[k] = 2; got = 1 :: else -> got = 0 fi };
            if
            :: got && short_[k] -> enter(); ran[k]++; leave(); tick[k] = 4
            :: got && !short_[k] ->
               if :: len(line) == 0 -> atomic { waited = 0 } :: else fi;
               atomic { assert(holder == 9); holder = k }; tick[k] = 4; break
            :: else -> skip
            fi
         od
       :: else fi
     :: else fi
  od
}
active proctype mon() { timeout -> assert(finished == N && holder == 0 && waited == 0) }
