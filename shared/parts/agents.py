"""Builds what works at jobs of agents."""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from shared.parts.gateway import GatewayParts

if TYPE_CHECKING:
    from shared.agents.ending import Ending
    from shared.agents.registry import Kinds
    from shared.agents.run import JobRunner, Pace
    from shared.agents.service import Jobs
    from shared.agents.starting import JobStarts
    from shared.agents.store import FirestoreJobs
    from shared.agents.sweep import JobSweep
    from shared.agents.tools import Search, Tools


ROOT = Path(__file__).resolve().parents[2]


class AgentParts(GatewayParts):
    """Jobs: their store, the owner's side, the worker, the sweep."""

    @cached_property
    def job_store(self) -> "FirestoreJobs":
        from shared.agents.store import FirestoreJobs

        return FirestoreJobs(self.firestore)

    @cached_property
    def jobs(self) -> "Jobs":
        from shared.agents.service import Jobs

        return Jobs(self.job_store, self.tasks, self.clock)

    @cached_property
    def job_starts(self) -> "JobStarts":
        from shared.agents.starting import JobStarts

        return JobStarts(self.job_store, self.tasks, self.catalog, self.clock, kinds=self.job_kinds)

    @cached_property
    def job_kinds(self) -> "Kinds":
        from shared.agents.registry import kind_of

        return kind_of

    @cached_property
    def job_ending(self) -> "Ending":
        from shared.agents.ending import Ending

        return Ending(self.job_store, self.ledger, self.clock)

    @cached_property
    def job_sweep(self) -> "JobSweep":
        from shared.agents.sweep import JobSweep

        return JobSweep(self.job_store, self.tasks, self.job_ending, self.clock)

    @cached_property
    def job_tools(self) -> "Tools":
        from shared.agents.tools import Confined, Tools
        from shared.tools.sandbox import Sandbox

        return Tools(self._search(), Confined(Sandbox()))

    def _search(self) -> "Search":
        """The web where a key for it is configured, else the corpus."""
        if self.settings.tavily_api_key is None:
            from shared.tools.corpus import FolderCorpus

            return FolderCorpus(ROOT / self.settings.corpus_folder)
        from shared.base.fetcher import Fetcher
        from shared.tools.gateway import Tavily
        from shared.tools.web import Web

        return Web(Tavily(self.settings.tavily_base_url, self.settings.tavily_api_key), Fetcher())

    @cached_property
    def job_pace(self) -> "Pace":
        from shared.agents.run import Pace

        return Pace(lease_ms=1_000 * int(self.settings.job_lease_s))

    @cached_property
    def job_runner(self) -> "JobRunner":
        """LangGraph is loaded with it."""
        from shared.agents.payers import Payers
        from shared.agents.pictures import Pictures
        from shared.agents.run import JobRunner
        from shared.agents.workbench import Trade
        from shared.base.fetcher import Fetcher
        from shared.cards.store import FirestoreCards

        trade = Trade(
            catalog=self.catalog,
            upstreams=self.upstreams,
            calls=self.calls,
            meter=self.meter,
            payers=Payers(FirestoreCards(self.firestore), self.clock),
            pictures=Pictures(Fetcher()),
            tools=self.job_tools,
        )
        return JobRunner(
            self.firestore,
            self.job_store,
            trade,
            self.tasks,
            self.job_ending,
            self.clock,
            pace=self.job_pace,
            kinds=self.job_kinds,
        )
