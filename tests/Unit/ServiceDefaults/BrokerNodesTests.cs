using Huzhu.ServiceDefaults;
using Microsoft.Extensions.Configuration;
using Xunit;

namespace Huzhu.Tests.Unit.ServiceDefaults;

public class BrokerNodesTests
{
    [Theory]
    [InlineData("amqp://u:p@broker:5672/huzhu", new[] { "broker:5672" })]
    [InlineData("amqp://u:a,b@broker/huzhu", new[] { "broker" })]
    [InlineData("amqp://u:p@a:5672/huzhu,amqp://u:p@b:5673/huzhu, amqp://u:p@c:5674/huzhu", new[] { "a:5672", "b:5673", "c:5674" })]
    [InlineData("amqps://u:p@a/huzhu,amqps://u:p@b/huzhu", new[] { "a", "b" })]
    public void one_address_or_those_of_all_nodes(string text, string[] expected) =>
        Assert.Equal(expected, Of(text).Select(node => node.Authority));

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("broker:5672")]
    [InlineData("http://broker:5672")]
    [InlineData("amqp://u:p@a/huzhu,amqp://")]
    [InlineData("amqps://u:p@a/huzhu,amqp://u:p@b/huzhu")]
    public void anything_else_is_refused_with_the_name_of_the_setting(string? text)
    {
        var refused = Assert.Throws<InvalidOperationException>(() => Of(text));
        Assert.StartsWith("ConnectionStrings:Broker", refused.Message);
    }

    private static IReadOnlyList<Uri> Of(string? text) =>
        Messaging.BrokerNodes(new ConfigurationBuilder().AddInMemoryCollection(new Dictionary<string, string?> { ["ConnectionStrings:Broker"] = text }).Build());
}
