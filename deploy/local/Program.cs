using Huzhu.Local;

Console.Error.WriteLine("The verbs come with the next change.");
return ExitCodes.Usage;
