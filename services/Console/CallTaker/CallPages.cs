namespace Huzhu.Web.CallTaker;

/// <summary>What the call-taker's pages ask for while they are open.</summary>
public static class CallPages
{
    public static void MapCallTaker(this WebApplication app)
    {
    }
}
