import { beforeEach } from 'vitest';

interface Exception {
  /** The end of the test's full name. */
  test: string;
  /** What it says when it fails, which it must: this, and nothing earlier. */
  fails: RegExp;
  because: string;
}

/** What cannot hold across a pause. All else must. */
const EXCEPTIONS: Exception[] = [
  {
    test: 'passes the 37 scenarios that the revision requires',
    fails: onlyFailing('server-stateless', [
      'sep-2575-http-server-no-independent-requests-on-stream',
      'sep-2575-server-no-log-without-loglevel',
      'sep-2575-server-sends-subscription-ack',
      'sep-2575-server-tags-subscription-id',
      'sep-2575-server-honors-notification-filter',
    ]),
    because: 'These checks read a stream for 600 or 800 ms, which is less than a pause and a wake take.',
  },
  {
    test: 'has one process for all of them, which stays when they leave',
    fails: /expected 1 to be 2/,
    because: 'It counts the calls that one process has had.',
  },
  {
    test: 'tells all of a changed list',
    fails: /to include 'extra'/,
    because: 'All are told; but the process that has added the tool is gone then, and the tool with it.',
  },
  {
    test: 'cancels the calls of a session that leaves, and the others go on',
    fails: /to include 'third waits'/,
    because: 'What was cancelled is known to the process that was told.',
  },
  {
    test: 'ends all their calls with the reason when the process exits, and the next session has another one',
    fails: /expected 1 to be greater than 1/,
    because: 'It counts the calls that one process has had.',
  },
  {
    test: 'hears a cancellation, and asks and tells its client what belongs to a session',
    fails: /There is no tool brand_new/,
    because: 'The process that has added the tool is gone, and the tool with it.',
  },
  {
    test: 'keeps the sessions of its clients apart',
    fails: /expected '1' to be '2'/,
    because: 'It counts the calls that one session has had of one process.',
  },
  {
    test: 'fails its calls at once when it exits, with its last words, and the session goes on in another process',
    fails: /to match .*out of cheese/,
    because: 'The last words are those of an earlier process.',
  },
  {
    test: 'that serves several clients has none of them told its last words, but its owner',
    fails: /to match .exited with code 7|Request timed out/,
    because:
      'The last words are those of an earlier process; and the call that is to wait may come behind the exit, to the next one.',
  },
  {
    test: "the SDK's client calls, hears progress and logs, is asked, samples and cancels",
    fails: /expected '\[\]' to be '\["long"\]'/,
    because:
      'What was cancelled is known to the process that was told; it is the last thing that the test looks at.',
  },
];

/** One scenario, and of that these checks and no others. */
function onlyFailing(scenario: string, checks: string[]): RegExp {
  const findings = checks.map((id) => `FAILURE ${id}: [^;]*`).join('; ');
  return new RegExp(`Array\\(1\\)[^]*"${scenario}: ${findings}(; WARNING|")`);
}

beforeEach(({ task, onTestFinished }) => {
  const exception = EXCEPTIONS.find(({ test }) => task.name === test);
  if (!exception) return;
  onTestFinished(() => {
    const errors = (task.result?.errors ?? []).map(({ message, diff = '' }) => message + diff);
    // One that passes is told that it should not.
    Object.assign(task, { fails: errors.every((error) => exception.fails.test(error)) });
  });
});
