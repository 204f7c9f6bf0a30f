"""What an operator looks at: alarms that say something is stuck or lost, and one dashboard."""

from collections.abc import Mapping, Sequence

from aws_cdk import CfnOutput, Duration, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.function import OurFunction
from infra.settings import Settings

_MINUTES = Duration.minutes(5)
# Between two tries of a message that waits (handlers/_messages.py).
_LONGEST_PAUSE = Duration.minutes(15)
# What pair counts of the sessions that it announces as odd: the senders' mistakes, so a graph and no alarm.
_ODDITIES = ("OrphanStops", "SessionsCutByAStart", "SessionsCutByTheirDuration")
# A consumer whose oldest record waits longer than this is behind, not merely gathering.
_BEHIND_MILLISECONDS = 120_000


class Watch(Construct):
    """Alarms and a dashboard, each behind its context flag."""

    def __init__(
        self,
        scope: Construct,
        settings: Settings,
        *,
        functions: Sequence[OurFunction],
        consumers: Sequence[OurFunction],
        counting: Mapping[str, Sequence[OurFunction]],
        dead_letters: Sequence[sqs.Queue],
    ) -> None:
        """Place what the settings ask for.

        Args:
            scope: Where in the tree.
            settings: The deployment's choices.
            functions: All functions, for their errors.
            consumers: Those that read streams, for their lag.
            counting: What is counted, by the name of its metric, and who does: records that were set aside, customers
                that could not be read and were passed over, messages that wait for others for long, webhooks that
                arrived nowhere in all their tries.
            dead_letters: Queues that are empty when all is well.
        """
        super().__init__(scope, "Watch")
        self._settings = settings
        self._functions = functions
        self._consumers = consumers
        self._counting = counting
        self._dead_letters = dead_letters
        if settings.alarms:
            self._alarms()
        if settings.dashboard:
            self._dashboard()

    def _alarms(self) -> None:
        topic = sns.Topic(self, "Alarms", display_name=f"{self._settings.name} alarms", enforce_ssl=True)
        CfnOutput(Stack.of(self), "AlarmTopicArn", value=topic.topic_arn)
        notify = actions.SnsAction(topic)
        for alarm in (
            *(self._dead(queue) for queue in self._dead_letters),
            *(self._late(function) for function in self._consumers),
            *(self._failing(function) for function in self._functions),
            self._parked(),
            self._unheard(),
            self._stuck(),
        ):
            alarm.add_alarm_action(notify)

    def _dead(self, queue: sqs.Queue) -> cloudwatch.Alarm:
        metric = queue.metric_approximate_number_of_messages_visible(period=_MINUTES, statistic="Maximum")
        return self._alarm(f"{queue.node.id}Letters", metric, 0, "Messages that nobody could take wait here")

    def _late(self, function: OurFunction) -> cloudwatch.Alarm:
        return self._alarm(
            f"{function.title}Late",
            _iterator_age(function),
            _BEHIND_MILLISECONDS,
            "The oldest record of its stream has waited for more than two minutes",
        )

    def _failing(self, function: OurFunction) -> cloudwatch.Alarm:
        metric = function.metric_errors(period=_MINUTES)
        return self._alarm(f"{function.title}Errors", metric, 0, "Invocations failed")

    def _parked(self) -> cloudwatch.Alarm:
        """What a function set aside or passed over: nothing is lost, and nothing of it is billed yet."""
        metrics = [*self._counted("ParkedRecords"), *self._counted("UnreadableCustomers")]
        total = _sum("Parked records and customers that cannot be read", metrics, _MINUTES)
        said = "Records were parked: look, then redrive; or customers cannot be read: write them anew"
        return self._alarm("ParkedRecords", total, 0, said)

    def _unheard(self) -> cloudwatch.Alarm:
        """Webhooks that were given up: each is in its endpoint's log, from which it can be sent again."""
        [metric] = self._counted("WebhooksFailed")
        return self._alarm(
            "WebhooksFailed", metric, 0, "Webhooks were given up: look at their endpoint, then redeliver"
        )

    def _stuck(self) -> cloudwatch.Alarm:
        """Messages that wait for an answer of others, of Stripe above all, and have done so for half an hour."""
        metrics = self._counted("MessagesWaiting")
        said = "Messages wait for half an hour or more, for Stripe above all: 'put back' in the log says why"
        return self._alarm("MessagesWaiting", _sum("Messages that wait", metrics, _LONGEST_PAUSE), 0, said)

    def _counted(self, name: str) -> list[cloudwatch.Metric]:
        """What handlers count, each for itself."""
        return [self._counted_by(name, function.service) for function in self._counting[name]]

    def _counted_by(self, name: str, service: str) -> cloudwatch.Metric:
        return cloudwatch.Metric(
            namespace=self._settings.name,
            metric_name=name,
            dimensions_map={"service": service},
            statistic="Sum",
            period=_MINUTES,
        )

    def _alarm(self, identifier: str, metric: cloudwatch.IMetric, above: float, description: str) -> cloudwatch.Alarm:
        return cloudwatch.Alarm(
            self,
            identifier,
            metric=metric,
            threshold=above,
            evaluation_periods=1,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
            alarm_description=description,
        )

    def _dashboard(self) -> None:
        dashboard = cloudwatch.Dashboard(
            self, "Dashboard", dashboard_name=self._settings.name, default_interval=Duration.hours(3)
        )
        functions, consumers = self._functions, self._consumers
        dashboard.add_widgets(
            _graph("Invocations", [f.metric_invocations(label=f.title) for f in functions]),
            _graph("Errors", [f.metric_errors(label=f.title) for f in functions]),
            _graph("Longest duration", [_longest(f) for f in functions]),
        )
        dashboard.add_widgets(
            _graph("Oldest record", [_iterator_age(f) for f in consumers]),
            _graph("Parked records", self._counted("ParkedRecords")),
            _graph(
                "Dead letters",
                [q.metric_approximate_number_of_messages_visible() for q in self._dead_letters],
            ),
        )
        dashboard.add_widgets(
            _graph("Odd sessions", [self._counted_by(name, "pair") for name in _ODDITIES]),
            _graph("Webhooks given up", self._counted("WebhooksFailed")),
        )


def _sum(label: str, metrics: Sequence[cloudwatch.Metric], period: Duration) -> cloudwatch.MathExpression:
    named: dict[str, cloudwatch.IMetric] = {f"each{index}": metric for index, metric in enumerate(metrics)}
    expression = " + ".join(f"FILL({name}, 0)" for name in named)
    return cloudwatch.MathExpression(expression=expression, using_metrics=named, label=label, period=period)


def _iterator_age(function: OurFunction) -> cloudwatch.Metric:
    return function.metric("IteratorAge", period=_MINUTES, statistic="Maximum")


def _longest(function: lambda_.Function) -> cloudwatch.Metric:
    return function.metric_duration(statistic="Maximum", label=function.node.id)


def _graph(title: str, metrics: Sequence[cloudwatch.IMetric]) -> cloudwatch.GraphWidget:
    return cloudwatch.GraphWidget(title=title, left=list(metrics), width=8)
