// Watches a job as a page does, with Firebase's own client under the security rules. One JSON object for each thing it is
// told: an event by its number, or the job as it stands. Ends once the job is over and its last event was told.
import { initializeApp } from "firebase/app";
import {
  collection,
  connectFirestoreEmulator,
  doc,
  initializeFirestore,
  limit,
  onSnapshot,
  orderBy,
  query,
  where,
} from "firebase/firestore";
import { text as textOf } from "node:stream/consumers";

const EVENTS_MAX = 100; // The rules let nobody list more at once.

const { project, host, port, token, job, after } = JSON.parse(await textOf(process.stdin));
const database = initializeFirestore(initializeApp({ projectId: project, apiKey: "local" }), {});
connectFirestoreEmulator(database, host, port, { mockUserToken: token });

let last = after;
let finished = null;
const say = (told) => process.stdout.write(JSON.stringify(told) + "\n");
const refused = ({ code }) => {
  say({ refused: code });
  process.exit(1);
};
const endWhenAllIsTold = () => {
  if (finished !== null && last >= finished) process.exit(0);
};

onSnapshot(
  doc(database, "jobs", job),
  (seen) => {
    const { state, percent, seq, cost } = seen.data();
    say({ state, percent, spent_micros: cost.spent_micros });
    if (state === "succeeded") finished = seq;
    endWhenAllIsTold();
  },
  refused,
);
onSnapshot(
  query(collection(database, "jobs", job, "events"), where("seq", ">", after), orderBy("seq"), limit(EVENTS_MAX)),
  (seen) => {
    for (const change of seen.docChanges()) {
      if (change.type !== "added") continue;
      last = change.doc.get("seq");
      say({ event: last });
    }
    endWhenAllIsTold();
  },
  refused,
);
