package pa

import (
	"sync"
	"testing"
	"time"
)

func TestAWakeUpBetweenTheQuestionAndTheSleepIsNotLost(t *testing.T) {
	var l lot
	var s sleeper
	seen := l.epoch.Load()
	l.wake(1)
	l.park(&s, seen, -1) // would sleep for ever
}

func TestEverybodyWhoSleepsIsWoken(t *testing.T) {
	var l lot
	var all sync.WaitGroup
	for range 50 {
		all.Add(1)
		go func() {
			defer all.Done()
			var s sleeper
			l.park(&s, 0, int64(time.Hour))
		}()
	}
	l.wake(everybody)
	all.Wait()
}

func TestWhoSleepsForATimeLeavesTheLotByItself(t *testing.T) {
	var l lot
	var all sync.WaitGroup
	for i := range 200 {
		all.Add(1)
		go func() {
			defer all.Done()
			var s sleeper
			for range 20 {
				l.park(&s, l.epoch.Load(), int64(i+1)*1000)
				l.wake(2)
			}
		}()
	}
	all.Wait()
	if len(l.sleeping) != 0 {
		t.Errorf("%d sleep still", len(l.sleeping))
	}
}
