"""The HTTPS door: the HTTP API, who may come in, and the function behind most of its routes."""

import json

from aws_cdk import CfnOutput, Duration, RemovalPolicy, Stack
from aws_cdk import aws_apigatewayv2 as gateway
from aws_cdk import aws_apigatewayv2_authorizers as authorizers
from aws_cdk import aws_apigatewayv2_integrations as integrations
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra import grants
from infra.findings import acknowledge
from infra.function import OurFunction, Shared
from infra.messages import Messages
from infra.money import Money, stripe_environment
from infra.pipeline import Pipeline, settling

_ACCESS_LOG = {
    "request_id": "$context.requestId",
    "time": "$context.requestTimeEpoch",
    "route": "$context.routeKey",
    "status": "$context.status",
    "error": "$context.error.message",
    "integration_error": "$context.integrationErrorMessage",
    "response_bytes": "$context.responseLength",
    "latency_milliseconds": "$context.responseLatency",
    "source": "$context.identity.sourceIp",
}


class Api(Construct):
    """Routes, the cached authorizer, default throttling and the access log."""

    def __init__(
        self,
        scope: Construct,
        shared: Shared,
        messages: Messages,
        pipeline: Pipeline,
        money: Money,
    ) -> None:
        super().__init__(scope, "Api")
        self._shared = shared
        self._messages = messages
        self.authorize = self._authorize()
        self.api = self._api()
        self.functions = [self.authorize, self.api]
        self.http = gateway.HttpApi(self, "Http", api_name=shared.settings.name, create_default_stage=False)
        self._stage()
        self._routes(pipeline, money)
        for function in (self.api, money.top_up):
            function.add_environment("RETURN_URL", f"{self._url}/payment/done")
        CfnOutput(Stack.of(self), "ApiUrl", value=self.http.api_endpoint)
        CfnOutput(Stack.of(self), "ApiId", value=self.http.api_id)

    @property
    def _url(self) -> str:
        """Where clients reach the API."""
        base = self._shared.settings.api_url
        return f"{base}/{self.http.api_id}" if base else self.http.api_endpoint

    def _authorize(self) -> OurFunction:
        return OurFunction(
            self,
            "authorize",
            self._shared,
            description="Says what an API key may do",
            memory_megabytes=512,
            timeout_seconds=10,
            may=[grants.on_table(self._shared.data.catalog, "GetItem")],
        )

    def _api(self) -> OurFunction:
        data = self._shared.data
        return OurFunction(
            self,
            "api",
            self._shared,
            description="Catalogue, customers, usage, balances, invoices",
            memory_megabytes=1024,
            timeout_seconds=29,
            may=[
                *settling(self._shared),
                grants.on_table(data.catalog, "PutItem", "DeleteItem"),
                grants.on_table(data.ledger, "DeleteItem"),
                grants.on_due_index(data.ledger),
                grants.on_table(data.events, "Query"),
                grants.to_queue(self._messages.collect, self._messages.top_up, self._messages.notify),
                # It calls Stripe, and shows the secrets of webhook endpoints, which are derived from a key in there.
                grants.on_secret(data.stripe_secret_arn),
            ],
            environment={
                **stripe_environment(self._shared),
                "COLLECT_QUEUE_URL": self._messages.collect.queue_url,
                "TOP_UP_QUEUE_URL": self._messages.top_up.queue_url,
                "NOTIFY_QUEUE_URL": self._messages.notify.queue_url,
            },
        )

    def _stage(self) -> None:
        log = logs.LogGroup(
            self,
            "AccessLog",
            retention=logs.RetentionDays.ONE_MONTH,
            removal_policy=RemovalPolicy.DESTROY,
        )
        gateway.CfnStage(
            self,
            "Stage",
            api_id=self.http.api_id,
            stage_name="$default",
            auto_deploy=True,
            default_route_settings=gateway.CfnStage.RouteSettingsProperty(
                throttling_rate_limit=2000, throttling_burst_limit=4000
            ),
            access_log_settings=gateway.CfnStage.AccessLogSettingsProperty(
                destination_arn=log.log_group_arn, format=json.dumps(_ACCESS_LOG)
            ),
        )

    def _routes(self, pipeline: Pipeline, money: Money) -> None:
        keys = authorizers.HttpLambdaAuthorizer(
            "Keys",
            self.authorize,
            # An answer is cached for the route that it was given for, not for all of them.
            identity_source=["$request.header.x-api-key", "$context.routeKey"],
            response_types=[authorizers.HttpLambdaResponseType.SIMPLE],
            results_cache_ttl=Duration.seconds(60),
        )
        get, post, every = gateway.HttpMethod.GET, gateway.HttpMethod.POST, gateway.HttpMethod.ANY
        self._route(post, "/v1/events", pipeline.ingest, keys)
        self._route(every, "/v1/{proxy+}", self.api, keys)
        nobody = gateway.HttpNoneAuthorizer()
        for route, reason in (
            (
                self._route(post, "/v1/stripe/webhook", money.stripe_webhook, nobody),
                "Stripe has no key of ours: the function checks Stripe's signature",
            ),
            (
                self._route(get, "/v1/health", self.api, nobody),
                "Whoever watches the service need not have a key, and learns nothing but that it is up",
            ),
            (
                self._route(get, "/v1/openapi.json", self.api, nobody),
                "The document says what the API is, and nothing of anybody's",
            ),
            (self._route(get, "/docs", self.api, nobody), "The same document, as a page"),
            (
                self._route(get, "/payment/done", self.api, nobody),
                "Where Stripe leads a customer back: a word of thanks",
            ),
        ):
            acknowledge(route, "AwsSolutions-APIG4", reason)

    def _route(
        self,
        method: gateway.HttpMethod,
        path: str,
        function: OurFunction,
        authorizer: gateway.IHttpRouteAuthorizer,
    ) -> gateway.HttpRoute:
        integration = integrations.HttpLambdaIntegration(f"To{function.title}", function)
        [route] = self.http.add_routes(path=path, methods=[method], integration=integration, authorizer=authorizer)
        return route
